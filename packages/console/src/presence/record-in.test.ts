import { expect, test } from '@jest/globals'
import type { PresenceRecord } from './presence-record.ts'
import { recordIn } from './record-in.ts'

const whole: PresenceRecord = {
  id: 'one:8080',
  service: 'edge',
  version: '1.0.0',
  startedAt: '2026-12-01T08:00:00.000Z',
  state: 'degraded',
  reason: 'no backend is up',
  requestsPerSecond: 1.5,
  rssMb: 80,
  breakers: [{ provider: 'ipinfo', state: 'open', reason: 'limited' }],
  backends: [{ group: 'lookup', address: 'r:80', state: 'down', inFlight: 0, lastError: 'refused' }],
  sources: [{ label: '192.0.2.1', state: 'up', tunnels: 3 }],
}
const read = (changes: object): PresenceRecord | undefined =>
  recordIn('one:8080', JSON.stringify({ ...whole, ...changes }))

test('a record is read as it was written', () => {
  expect(read({})).toEqual(whole)
})

test.each([
  ['no JSON', '{"id":'],
  ['null', 'null'],
  ['a list', '[]'],
  ['a text', '"edge"'],
  ['an empty one', '{}'],
])('%s is no record', (_name, text) => {
  expect(recordIn('one:8080', text)).toBeUndefined()
})

test.each([{ service: 'cache' }, { version: 2 }, { startedAt: 'yesterday' }, { startedAt: 7 }, { state: 'sleeping' }])(
  'a record with %j is left out, for it cannot be shown',
  (change) => {
    expect(read(change)).toBeUndefined()
  },
)

test.each([
  [{ reason: {} }, 'reason'],
  [{ rssMb: 'much' }, 'rssMb'],
  [{ requestsPerSecond: null }, 'requestsPerSecond'],
  [{ breakers: 'closed' }, 'breakers'],
  [{ backends: { address: 'r:80' } }, 'backends'],
])('%j costs that member only', (change, member) => {
  const { [member as 'reason']: _left, ...rest } = whole
  expect(read(change)).toEqual(rest)
})

test('a row of another release costs that row only, and its unknown members', () => {
  const rows = [null, 'up', { ...whole.backends?.[0], state: 'warming' }, { ...whole.backends?.[0], weight: 3 }]
  expect(read({ backends: rows })?.backends).toEqual(whole.backends)
})

test('a record is that of the process under whose id it is kept', () => {
  expect(read({ id: ['another'] })?.id).toBe('one:8080')
})
