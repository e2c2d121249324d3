import { expect, test } from '@jest/globals'
import { between, jittered } from './jitter.ts'

test('lies between its limits', () => {
  expect([0, 0.25, 1].map((drawn) => between(20, 60, () => drawn))).toEqual([20, 30, 60])
  expect(between(5, 5)).toBe(5)
})

test('a period varies by a tenth either way', () => {
  expect([0, 0.5, 1].map((drawn) => Math.round(jittered(1000, () => drawn)))).toEqual([900, 1000, 1100])
})
