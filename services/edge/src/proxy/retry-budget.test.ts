import { expect, test } from '@jest/globals'
import { manualClock } from '@ipfleet/testing/manual-clock.ts'
import { RetryBudget } from './retry-budget.ts'

function budget(budgetPercent: number, minPerSecond: number) {
  const clock = manualClock(123_400)
  const retries = new RetryBudget({ budgetPercent, minPerSecond }, clock)
  const requests = (count: number): void => {
    for (let sent = 0; sent < count; sent += 1) retries.request()
  }
  const taken = (wanted: number): number => Array.from({ length: wanted }, () => retries.take()).filter(Boolean).length
  return { clock, retries, requests, taken }
}

test('retries are at most that share of the requests', () => {
  const { requests, taken } = budget(20, 0)
  expect(taken(5)).toBe(0)
  requests(100)
  expect(taken(50)).toBe(20)
  requests(10)
  expect(taken(50)).toBe(2)
})

test('a few a second are allowed whatever the traffic', () => {
  const { clock, taken } = budget(20, 3)
  expect(taken(10)).toBe(3)
  clock.advance(599)
  expect(taken(10)).toBe(0)
  clock.advance(1)
  expect(taken(10)).toBe(3)
})

test('requests and retries count for ten seconds', () => {
  const { clock, requests, taken } = budget(10, 0)
  requests(100)
  clock.advance(1000)
  expect(taken(4)).toBe(4)
  clock.advance(8000)
  expect(taken(10)).toBe(6)
  clock.advance(1000)
  expect(taken(10)).toBe(0)
  requests(200)
  // The six of a second ago and the four before still count.
  expect(taken(20)).toBe(10)
  clock.advance(3_600_000)
  expect(taken(10)).toBe(0)
})

test('a new share holds from now on', () => {
  const { retries, requests, taken } = budget(10, 0)
  requests(100)
  expect(taken(99)).toBe(10)
  retries.configure({ budgetPercent: 50, minPerSecond: 0 })
  expect(taken(99)).toBe(40)
})
