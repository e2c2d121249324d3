import { expect, test } from '@jest/globals'
import { wholeSeconds } from './whole-seconds.ts'

test.each([
  [-5, 1],
  [0, 1],
  [1, 1],
  [1000, 1],
  [1001, 2],
  [59_999, 60],
])('%p ms are %p s for Retry-After', (durationMs, seconds) => {
  expect(wholeSeconds(durationMs)).toBe(seconds)
})
