import { expect, test } from '@jest/globals'
import { retryAfterSeconds } from './retry-time.ts'

const ourMs = Date.UTC(2026, 0, 5, 12, 0, 0)
const date = new Date(ourMs + 3_600_000).toUTCString()

test.each([
  ['a date of Retry-After', { date, 'retry-after': new Date(ourMs + 3_690_000).toUTCString() }, '', 90],
  ['a date in the body', { date }, `until ${new Date(ourMs + 3_690_000).toISOString()}`, 90],
  ['seconds', { date, 'retry-after': '17' }, '', 17],
  ['a date without the one of sending', { 'retry-after': new Date(ourMs + 90_000).toUTCString() }, '', 90],
  ['a date beside a number', { date: '5', 'retry-after': new Date(ourMs + 90_000).toUTCString() }, '', 90],
  ['a date beside nonsense', { date: 'now', 'retry-after': new Date(ourMs + 90_000).toUTCString() }, '', 90],
])('%s is read by the clock of its sender, which may be an hour ahead', (_, headers, body, seconds) => {
  expect(retryAfterSeconds(headers, body, ourMs)).toBe(seconds)
})
