import { describe, expect, test } from '@jest/globals'
import { LocalRateLimiter } from '@ipfleet/rate-limit/local-rate-limiter.ts'
import { manualClock } from '@ipfleet/testing/manual-clock.ts'
import type { BatchReply } from '@ipfleet/fleet-client/batch-client.ts'
import type { BatchValue } from '@ipfleet/fleet-client/batch-values.ts'
import { FleetLookups } from './fleet-lookups.ts'
import { LookupGate } from './lookup-gate.ts'

const never = new AbortController().signal
const record = (address: string): BatchValue => ({ kind: 'record', record: { ip: address } })
const passing: BatchValue = {
  kind: 'passing',
  error: { code: 'upstream_failed', title: 'Upstream failed', message: '' },
}

type Answer = (addresses: readonly string[], call: number) => BatchReply

const answered = (values: readonly (readonly [string, BatchValue])[], liveRate = 0, cached = 0): BatchReply => ({
  kind: 'answered',
  values: new Map(values),
  cached,
  units: values.length - cached,
  liveRate,
  durationMs: 10,
})

/** Look-ups of which the pauses are over as soon as they begin; how long they were to be is kept. */
function lookups(answer: Answer, perSecond = 0) {
  const asked: (readonly string[])[] = []
  const pausedMs: number[] = []
  const retries: string[] = []
  const gate = new LookupGate({
    maxConcurrency: 10,
    maxRps: perSecond,
    limiter: new LocalRateLimiter(),
    liveSharePercent: 50,
    clock: manualClock(),
  })
  gate.pause = (_reason, durationMs) => void pausedMs.push(durationMs)
  const made = new FleetLookups({
    client: {
      ask: async (addresses) => {
        asked.push(addresses)
        return answer(addresses, asked.length)
      },
    },
    gate,
    onRetry: (reason) => retries.push(reason),
  })
  return { made, asked, pausedMs, retries }
}

const list = (count: number): string[] => Array.from({ length: count }, (_, at) => `20.0.${at >> 8}.${at & 255}`)

describe('a list', () => {
  test('is asked for in large batches', async () => {
    const { made, asked } = lookups((addresses) => answered(addresses.map((one) => [one, record(one)])))
    let units = 0
    const { values } = await made.lookUp(list(1200), never, (count) => (units += count))
    expect(asked.map(({ length }) => length)).toEqual([500, 500, 200])
    expect([values.size, units]).toEqual([1200, 1200])
  })

  test('is asked for in small batches while there are live look-ups', async () => {
    const { made, asked } = lookups((addresses) =>
      answered(
        addresses.map((one) => [one, record(one)]),
        3,
      ),
    )
    await made.lookUp(list(700), never, () => {})
    expect(asked.map(({ length }) => length)).toEqual([500, 100, 100])
  })

  test('is asked for in batches that the ceiling lets through', async () => {
    const { made, asked } = lookups((addresses) => answered(addresses.map((one) => [one, record(one)])), 100)
    await made.lookUp(list(150), never, () => {})
    expect(asked.map(({ length }) => length)).toEqual([100, 50])
  })
})

describe('a batch that is not answered', () => {
  test('is asked for until it is, after what the fleet asks for, with pauses that grow', async () => {
    const replies: BatchReply[] = [
      { kind: 'failed', reason: 'busy', retryAfterMs: 3000 },
      { kind: 'failed', reason: 'unreachable' },
      { kind: 'failed', reason: 'timeout' },
    ]
    const { made, pausedMs, retries } = lookups(
      (addresses, call) => replies[call - 1] ?? answered(addresses.map((one) => [one, record(one)])),
    )
    const { values } = await made.lookUp(['8.8.8.8'], never, () => {})
    expect(values.size).toBe(1)
    expect(retries).toEqual(['busy', 'unreachable', 'timeout'])
    expect(pausedMs[0]).toBeGreaterThan(3000)
    expect(pausedMs[2]).toBeGreaterThan(250 * 2)
  })

  test('is not waited for as long as a fleet may ask for', async () => {
    const month: BatchReply = { kind: 'failed', reason: 'busy', retryAfterMs: 30 * 86_400_000 }
    const { made, pausedMs } = lookups((_addresses, call) => (call === 1 ? month : answered([['8.8.8.8', passing]])))
    await made.lookUp(['8.8.8.8'], never, () => {})
    expect(pausedMs[0]).toBeLessThan(62_000)
  })
})

describe('an address at which upstream fails', () => {
  test('is asked for again, without those that were answered', async () => {
    const { made, asked, retries } = lookups((addresses, call) =>
      answered(addresses.map((one) => [one, call === 1 && one === '20.0.0.1' ? passing : record(one)])),
    )
    const { values } = await made.lookUp(list(3), never, () => {})
    expect(asked).toEqual([list(3), ['20.0.0.1']])
    expect(values.get('20.0.0.1')).toEqual(record('20.0.0.1'))
    expect(retries).toEqual(['items'])
  })

  test('has its error for a result in the end', async () => {
    const { made, asked } = lookups((addresses) => answered(addresses.map((one) => [one, passing])))
    const { values } = await made.lookUp(['8.8.8.8'], never, () => {})
    expect(asked).toHaveLength(8)
    expect(values.get('8.8.8.8')).toEqual(passing)
  })
})
