import { afterEach, beforeEach, expect, jest, test } from '@jest/globals'
import { monotonicClock } from '@ipfleet/core/clock.ts'
import { SourceHealth } from './source-health.ts'

let health: SourceHealth
let told: string[]

beforeEach(() => {
  // The monotonic clock is theirs too.
  jest.useFakeTimers()
  health = new SourceHealth(monotonicClock)
  told = []
  health.on('out', (reason) => void told.push(reason))
  health.on('back', () => void told.push('back'))
})

afterEach(() => {
  health.close()
  jest.useRealTimers()
})

test('two failed checks in a row take it out, one good check brings it back', () => {
  health.failed()
  health.succeeded()
  health.failed()
  expect(told).toEqual([])
  health.failed()
  health.failed()
  expect(told).toEqual(['check_failed'])
  health.succeeded()
  expect(told).toEqual(['check_failed', 'back'])
})

test('that it is not ours takes it out at once, and that it can be bound brings it back', () => {
  health.isNotOurs()
  health.isNotOurs()
  expect(told).toEqual(['not_ours'])
  health.isOurs()
  expect(told).toEqual(['not_ours', 'back'])
})

test('that it can be bound does not bring back what reaches nothing', () => {
  health.failed()
  health.failed()
  health.isOurs()
  expect(health.isOut).toBe(true)
})

test('what another replica has found holds for as long as that one said', () => {
  health.heardOut(3000)
  expect(health.backInMs(99)).toBe(3000)
  health.succeeded()
  jest.advanceTimersByTime(2000)
  health.heardOut(4000)
  jest.advanceTimersByTime(3999)
  expect(told).toEqual(['check_failed'])
  jest.advanceTimersByTime(1)
  expect(told).toEqual(['check_failed', 'back'])
})

test('or until it takes it back', () => {
  health.heardOut(3000)
  health.heardOut(0)
  expect(told).toEqual(['check_failed', 'back'])
})

test('a good check takes back what this replica has told itself, and heard again', () => {
  health.failed()
  health.failed()
  health.heardOut(30_000)
  health.succeeded()
  expect(told).toEqual(['check_failed', 'back'])
  expect(health.backInMs(99)).toBe(0)
})

test('it can be back with the next check, or when the fleet lets it', () => {
  expect(health.backInMs(700)).toBe(0)
  health.isNotOurs()
  expect(health.backInMs(700)).toBe(700)
  health.heardOut(3000)
  expect(health.backInMs(700)).toBe(3000)
})
