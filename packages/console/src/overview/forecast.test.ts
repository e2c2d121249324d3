import { expect, test } from '@jest/globals'
import { emptyOn } from './forecast.ts'

const resets = '2026-12-01T00:00:00.000Z'
const halfway = Date.parse('2026-11-16T00:00:00.000Z')

test.each([
  ['used up in a third of the rest', { used: 750, remaining: 250, resets }, '2026-11-21T00:00:00.000Z'],
  ['the same, told by its limit', { limit: 1000, remaining: 250, resets }, '2026-11-21T00:00:00.000Z'],
  ['empty already', { used: 1000, remaining: 0, resets }, '2026-11-16T00:00:00.000Z'],
  ['enough for the month', { used: 400, remaining: 600, resets }, undefined],
  ['not used', { used: 0, remaining: 1000, resets }, undefined],
  ['not known', { remaining: 10, resets }, undefined],
  ['without a month', { used: 10, remaining: 10 }, undefined],
])('%s', (_name, key, expected) => {
  expect(emptyOn(key, halfway)).toBe(expected)
})
