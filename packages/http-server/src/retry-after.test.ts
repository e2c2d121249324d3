import { describe, expect, test } from '@jest/globals'
import { retryAfterMs } from './retry-after.ts'

describe('Retry-After', () => {
  const nowMs = Date.UTC(2026, 0, 5, 12, 0, 0)

  test.each<[string, string | undefined, number | undefined]>([
    ['absent', undefined, undefined],
    ['seconds', '60', 60],
    ['zero', '0', 0],
    ['seconds with spaces', ' 60 ', 60],
    ['many seconds, which the bench clamps', '999999999', 999_999_999],
    ['more than thirty years', '99999999999', undefined],
    ['a date', 'Mon, 05 Jan 2026 12:01:30 GMT', 90],
    ['a date of the obsolete form', 'Monday, 05-Jan-26 12:01:30 GMT', 90],
    ['a date of asctime', 'Mon Jan  5 12:01:30 2026', 90],
    ['a date in the past', 'Mon, 05 Jan 2026 11:00:00 GMT', 0],
    ['no such date', 'Mon, 55 Jan 2026 11:00:00 GMT', undefined],
    ['negative', '-5', undefined],
    ['signed', '+5', undefined],
    ['a fraction', '1.5', 1.5],
    ['half a fraction', '1.', undefined],
    ['with a unit', '60s', undefined],
    ['two values', '5, 6', undefined],
    ['a word', 'soon', undefined],
    ['a word with a number, which Date.parse takes for a month', 'retry 5', undefined],
    ['a weekday with a number', 'Mon, 5', undefined],
    ['empty', '', undefined],
  ])('%s', (_, value, seconds) => {
    expect(retryAfterMs(value, nowMs)).toBe(seconds === undefined ? undefined : seconds * 1000)
  })
})
