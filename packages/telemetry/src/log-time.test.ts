import { expect, test } from '@jest/globals'
import { logTime } from './log-time.ts'

test('is the time in ISO 8601, whichever way the clock goes', () => {
  const start = Date.UTC(2026, 11, 31, 23, 59, 58, 998)
  for (const ms of [0, 1, 2, 3, 999, 1001, 1002, 5000, 2, 0, -1000]) {
    expect(logTime(start + ms)).toBe(new Date(start + ms).toISOString())
  }
})
