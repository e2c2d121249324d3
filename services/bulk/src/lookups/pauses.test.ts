import { expect, test } from '@jest/globals'
import { manualClock } from '@ipfleet/testing/manual-clock.ts'
import { Pauses } from './pauses.ts'

const never = new AbortController().signal

test('a pause lasts as long as the longest that was asked for', () => {
  const clock = manualClock()
  const pauses = new Pauses(clock)
  pauses.pause('fleet', 1000)
  pauses.pause('fleet', 10)
  clock.advance(999)
  expect(pauses.reasons()).toEqual(['fleet'])
  clock.advance(1)
  expect(pauses.reasons()).toEqual([])
})

test('nothing goes on while anything is paused, and all does after it', async () => {
  const pauses = new Pauses()
  const startedMs = performance.now()
  pauses.pause('keys', 20)
  pauses.pause('storage', 60)
  await pauses.over(never)
  expect(performance.now() - startedMs).toBeGreaterThanOrEqual(59)
})

test('a pause is reported once, when it begins', () => {
  const pauses = new Pauses(manualClock())
  const told: string[] = []
  pauses.on('paused', (reason) => told.push(reason))
  for (const reason of ['fleet', 'fleet', 'keys'] as const) pauses.pause(reason, 1000)
  expect(told).toEqual(['fleet', 'keys'])
})

test('a caller that is to stop does not wait for the end of a pause', async () => {
  const pauses = new Pauses()
  pauses.pause('fleet', 60_000)
  const stop = new AbortController()
  const over = pauses.over(stop.signal)
  stop.abort()
  await expect(over).rejects.toThrow()
})
