import { expect, test } from '@jest/globals'
import { backoffMs, exponentialMs } from './backoff.ts'

const failures = Array.from({ length: 6 }, (_, index) => index + 1)
const backoff = { firstMs: 100, maxMs: 1000 }

test('doubles with each failure, up to the maximum, however many there are', () => {
  expect(failures.map((count) => exponentialMs(count, backoff))).toEqual([100, 200, 400, 800, 1000, 1000])
  expect(exponentialMs(5000, backoff)).toBe(1000)
})

test('half of a pause is by chance, and none is shorter than the one before could be', () => {
  expect(failures.map((count) => backoffMs(count, backoff, () => 0))).toEqual([50, 100, 200, 400, 500, 500])
  expect(failures.map((count) => backoffMs(count, backoff, () => 1))).toEqual([100, 200, 400, 800, 1000, 1000])
})
