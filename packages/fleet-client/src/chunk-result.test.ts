import { expect, test } from '@jest/globals'
import type { BatchValue } from './batch-values.ts'
import { chunkResult } from './chunk-result.ts'

const record = (ip: string): BatchValue => ({ kind: 'record', record: { ip, city: 'Here', asn: { name: 'Net' } } })

const values = new Map<string, BatchValue>([
  ['8.8.8.8', record('8.8.8.8')],
  ['2001:db9::1', record('2001:db9::1')],
  ['9.9.9.9', { kind: 'passing', error: { code: 'upstream_failed', title: 'Upstream failed', message: 'It failed' } }],
])

const inputs = ['8.8.8.8', ' 8.8.8.8 ', '::ffff:8.8.8.8', '2001:DB9:0::1', 'x', '', '9.9.9.9', '7.7.7.7']

test('every input has one line, in order, under its own spelling', () => {
  const { body, lines, answered, errors } = chunkResult({ inputs }, values, 0)
  const told = body
    .toString()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { input: string; ip?: string; error?: { title: string } })
  expect(told.map(({ input }) => input)).toEqual(inputs)
  expect(told.map(({ ip, error }) => ip ?? error?.title)).toEqual([
    '8.8.8.8',
    '8.8.8.8',
    '8.8.8.8',
    '2001:db9::1',
    'Wrong ip',
    'Wrong ip',
    'Upstream failed',
    'Not looked up',
  ])
  expect([lines, answered, errors]).toEqual([8, 4, { wrong_ip: 2, upstream_failed: 1, not_looked_up: 1 }])
})

test('wanted fields are picked, also inside, and left out where there are none', () => {
  const { body } = chunkResult({ inputs: ['8.8.8.8'], fields: ['city', 'asn.name', 'postal'] }, values, 0)
  expect(JSON.parse(body.toString())).toEqual({ input: '8.8.8.8', city: 'Here', 'asn.name': 'Net' })
})

test('what stands there twice counts as cached, as what the fleet had', () => {
  expect(chunkResult({ inputs: ['8.8.8.8', '8.8.8.8', '2001:db9::1'] }, values, 1).cached).toBe(2)
  expect(chunkResult({ inputs: ['8.8.8.8'] }, values, 0).cached).toBe(0)
})
