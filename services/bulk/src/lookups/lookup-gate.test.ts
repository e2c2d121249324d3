import { describe, expect, test } from '@jest/globals'
import type { BatchReply } from '@ipfleet/fleet-client/batch-client.ts'
import { LocalRateLimiter } from '@ipfleet/rate-limit/local-rate-limiter.ts'
import { manualClock } from '@ipfleet/testing/manual-clock.ts'
import { LookupGate, type LookupGateOptions } from './lookup-gate.ts'

const never = new AbortController().signal

const gateWith = (options: Partial<LookupGateOptions> = {}): LookupGate =>
  new LookupGate({
    maxConcurrency: 10,
    maxRps: 0,
    limiter: new LocalRateLimiter(),
    liveSharePercent: 25,
    ...options,
  })

const answered = (liveRate: number, durationMs = 20): BatchReply => ({
  kind: 'answered',
  values: new Map(),
  cached: 0,
  units: 0,
  liveRate,
  durationMs,
})

const noteLive = (gate: LookupGate, durationMs = 0): Promise<BatchReply> =>
  gate.pass(1, never, async () => answered(10, durationMs))

/** How many batches are under way at the most, and how long all of them take. */
async function run(gate: LookupGate, batches: number, liveRate: number) {
  let underWay = 0
  let most = 0
  const startedMs = performance.now()
  const ask = async (): Promise<BatchReply> => {
    underWay += 1
    most = Math.max(most, underWay)
    await new Promise((resolve) => setTimeout(resolve, 20))
    underWay -= 1
    return answered(liveRate)
  }
  await Promise.all(Array.from({ length: batches }, () => gate.pass(1, never, ask)))
  return { most, tookMs: performance.now() - startedMs }
}

describe('the share of live look-ups', () => {
  test('without any no batch waits', async () => {
    expect((await run(gateWith(), 5, 0)).most).toBe(5)
  })

  test('beside them batches go one by one, and take a quarter of the time', async () => {
    const gate = gateWith({ clock: manualClock() })
    await noteLive(gate)
    const { most, tookMs } = await run(gate, 4, 10)
    expect(most).toBe(1)
    // Four of 20 ms, and three rests of 60.
    expect(tookMs).toBeGreaterThanOrEqual(4 * 19 + 3 * 59)
  })

  test('some seconds after the last one batches are large again', async () => {
    const clock = manualClock()
    const gate = gateWith({ clock })
    await noteLive(gate)
    expect(gate.batchSize).toBe(100)
    clock.advance(3001)
    expect(gate.batchSize).toBe(500)
  })

  test('with 100 percent there is no regard', async () => {
    const gate = gateWith({ liveSharePercent: 100, clock: manualClock() })
    await noteLive(gate)
    expect(gate.batchSize).toBe(500)
  })

  test('a caller that is to stop does not wait for its turn, and those behind it have theirs', async () => {
    const gate = gateWith({ clock: manualClock() })
    await noteLive(gate, 100)
    const stop = new AbortController()
    const stopped = gate.pass(1, stop.signal, async () => answered(0))
    const behind = gate.pass(1, never, async () => answered(0))
    stop.abort()
    await expect(stopped).rejects.toThrow('aborted')
    expect(await behind).toMatchObject({ kind: 'answered' })
  })
})

describe('a pause', () => {
  test('lasts as long as the longest that was asked for', () => {
    const clock = manualClock()
    const gate = gateWith({ clock })
    gate.pause('fleet', 1000)
    gate.pause('fleet', 10)
    clock.advance(999)
    expect(gate.reasons()).toEqual(['fleet'])
    clock.advance(1)
    expect(gate.reasons()).toEqual([])
  })

  test('lets nothing pass while there is any, and all after it', async () => {
    const gate = gateWith()
    const startedMs = performance.now()
    gate.pause('keys', 20)
    gate.pause('storage', 60)
    await gate.pass(1, never, async () => answered(0))
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(59)
  })

  test('is reported once, when it begins', () => {
    const gate = gateWith({ clock: manualClock() })
    const told: string[] = []
    gate.on('paused', (reason) => told.push(reason))
    for (const reason of ['fleet', 'fleet', 'keys'] as const) gate.pause(reason, 1000)
    expect(told).toEqual(['fleet', 'keys'])
  })

  test('does not hold a caller that is to stop', async () => {
    const gate = gateWith()
    gate.pause('fleet', 60_000)
    const stop = new AbortController()
    const passed = gate.pass(1, stop.signal, async () => answered(0))
    stop.abort()
    await expect(passed).rejects.toThrow('aborted')
  })
})

test('a fleet that refuses gets fewer batches at a time, and one that answers as quickly more', async () => {
  const gate = gateWith()
  const few = gate.concurrency
  for (let batch = 0; batch < 50; batch += 1) await gate.pass(1, never, async () => answered(0, 10))
  const many = gate.concurrency
  await gate.pass(1, never, async () => ({ kind: 'failed', reason: 'busy' }))
  expect(many).toBeGreaterThan(few)
  expect(gate.concurrency).toBeLessThan(many)
})
