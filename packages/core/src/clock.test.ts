import { afterEach, expect, jest, test } from '@jest/globals'
import { monotonicClock } from './clock.ts'

afterEach(() => {
  jest.restoreAllMocks()
})

test('the clock goes on evenly when the wall clock jumps', () => {
  const beforeMs = monotonicClock.nowMs()
  jest.spyOn(Date, 'now').mockReturnValue(0)
  const passedMs = monotonicClock.nowMs() - beforeMs
  expect(passedMs).toBeGreaterThanOrEqual(0)
  expect(passedMs).toBeLessThan(10_000)
})
