import { afterEach, beforeEach, expect, jest, test } from '@jest/globals'
import { DeadlineWatch, type HasDeadline } from './deadline-watch.ts'

beforeEach(() => void jest.useFakeTimers())
afterEach(() => void jest.useRealTimers())

/** Is over when it is asked after its time. */
function lasting(watch: DeadlineWatch, ms: number): HasDeadline & { endedMs: number | undefined } {
  const untilMs = performance.now() + ms
  const one: ReturnType<typeof lasting> = {
    endedMs: undefined,
    checkDeadline: (nowMs) => {
      if (nowMs < untilMs) return
      one.endedMs = nowMs
      watch.delete(one)
    },
  }
  watch.add(one)
  return one
}

test('each is over within 100 ms of its deadline, whichever came first, and only if it is still under way', () => {
  const watch = new DeadlineWatch()
  const startedMs = performance.now()
  const [long, short, left] = [lasting(watch, 1000), lasting(watch, 300), lasting(watch, 300)]
  watch.delete(left)
  jest.advanceTimersByTime(2000)
  expect(long.endedMs).toBeGreaterThanOrEqual(startedMs + 1000)
  expect(long.endedMs).toBeLessThanOrEqual(startedMs + 1101)
  expect(short.endedMs).toBeLessThanOrEqual(startedMs + 401)
  expect(left.endedMs).toBeUndefined()
})

test('all share one timer, which rests soon after the last of them', () => {
  const watch = new DeadlineWatch()
  expect(jest.getTimerCount()).toBe(0)
  const all = [1, 2, 3].map(() => lasting(watch, 1000))
  expect(jest.getTimerCount()).toBe(1)
  for (const one of all) watch.delete(one)
  jest.advanceTimersByTime(200)
  expect(jest.getTimerCount()).toBe(0)
  lasting(watch, 1000)
  expect(jest.getTimerCount()).toBe(1)
})
