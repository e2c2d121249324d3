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

const told = (atMs: number): string => new Date(atMs).toISOString()

test.each<[string, string, number | undefined]>([
  ['the moment of the refusal', `{"timestamp":"${told(ourMs)}","status":429,"error":"Too Many Requests"}`, undefined],
  ['a moment by a clock that is a little ahead', `{"timestamp":"${told(ourMs + 900)}","status":429}`, undefined],
  ['a duration beside that moment', `{"timestamp":"${told(ourMs)}","message":"try again in 30 minutes"}`, 1800],
  ['a member beside that moment', `{"timestamp":"${told(ourMs + 900)}","retry_after":30}`, 30],
  ['a moment behind that one', `{"time":"${told(ourMs)}","reset_at":"${told(ourMs + 90_000)}"}`, 90],
  ['a moment since 1970', `{"error":"limit","reset":${ourMs / 1000 + 900}}`, 900],
  ['the same in milliseconds', `{"error":"limit","resetsAt":"${ourMs + 900_000}"}`, 900],
  ['milliseconds', '{"retry_after_ms":1500}', 2],
  ['seconds in quotes', '{"retryAfter":"30s"}', 30],
  ['seconds, by the name too', '{"retry_after_seconds":30}', 30],
  ['a date in place of seconds', `{"retry_after":"${told(ourMs + 90_000)}"}`, 90],
  ['a day', '{"retry_after_date":"2026-01-06"}', 43_200],
  ['a moment since 1970 in place of seconds', `{"retry_after":${ourMs / 1000 + 900}}`, 900],
  ['a moment in place of milliseconds', `{"retry_after_ms":${ourMs + 900_000}}`, 900],
  ['minutes', '{"retry_after_minutes":5}', undefined],
  ['hours', '{"retryAfterHours":2}', undefined],
  ['a unit behind the number', '{"retry_after":"1m"}', undefined],
  ['the end of a window', `{"x-ratelimit-reset":${ourMs / 1000 + 900}}`, 900],
  ['another number', `{"preset_id":${ourMs / 1000 + 900}}`, undefined],
  ['a moment of something else', `{"password_reset_at":${ourMs / 1000 + 900}}`, undefined],
  ['fractions of a second', '{"message":"You are being rate limited.","retry_after":64.57}', 65],
  ['the window of the limit', 'You have made 1000 requests in 30 days', undefined],
  ['the window, and when it ends', 'Limit of 60 calls in 1 minute: try again in 12 seconds', 12],
  ['that the wait is over', '{"retry_after":0}', undefined],
])('of a refusal that names %s', (_, body, seconds) => {
  expect(retryAfterSeconds({}, body, ourMs)).toBe(seconds)
})
