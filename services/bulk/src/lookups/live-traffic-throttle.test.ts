import { expect, test } from '@jest/globals'
import { setTimeout as sleep } from 'node:timers/promises'
import { manualClock } from '@ipfleet/testing/manual-clock.ts'
import { LiveTrafficThrottle } from './live-traffic-throttle.ts'

const never = new AbortController().signal

/** How many batches are under way at the most, and how long all of them take. */
async function run(throttle: LiveTrafficThrottle, batches: number, liveRate: number) {
  let underWay = 0
  let most = 0
  const startedMs = performance.now()
  const batch = async (): Promise<void> => {
    underWay += 1
    most = Math.max(most, underWay)
    await sleep(20)
    underWay -= 1
    throttle.note(liveRate, 20)
  }
  await Promise.all(Array.from({ length: batches }, () => throttle.inTurn(never, batch)))
  return { most, tookMs: performance.now() - startedMs }
}

test('without live look-ups no batch waits', async () => {
  expect((await run(new LiveTrafficThrottle(25), 5, 0)).most).toBe(5)
})

test('beside live look-ups batches go one by one, and take a quarter of the time', async () => {
  const throttle = new LiveTrafficThrottle(25)
  throttle.note(10, 0)
  const { most, tookMs } = await run(throttle, 4, 10)
  expect(most).toBe(1)
  // Four of 20 ms, and three rests of 60.
  expect(tookMs).toBeGreaterThanOrEqual(4 * 20 + 3 * 59)
})

test('some seconds after the last live look-up there is nothing to throttle for', () => {
  const clock = manualClock()
  const throttle = new LiveTrafficThrottle(25, clock)
  throttle.note(10, 5)
  expect(throttle.isDue).toBe(true)
  clock.advance(3001)
  expect(throttle.isDue).toBe(false)
})

test('with 100 percent there is no regard', () => {
  const throttle = new LiveTrafficThrottle(100)
  throttle.note(10, 5)
  expect(throttle.isDue).toBe(false)
})

test('a caller that is to stop does not wait for its turn', async () => {
  const throttle = new LiveTrafficThrottle(1)
  throttle.note(10, 10_000)
  const stop = new AbortController()
  const asked = throttle.inTurn(stop.signal, () => Promise.resolve('asked'))
  stop.abort()
  await expect(asked).rejects.toThrow()
})
