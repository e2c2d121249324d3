import type { IncomingHttpHeaders } from 'node:http'
import { httpDateMs, retryAfterMs } from '@ipfleet/http-server/retry-after.ts'

/** No quota is longer than a month; a date beyond is of something else. */
const maxSeconds = 32 * 86_400
const secondsOf: Readonly<Record<string, number>> = { second: 1, minute: 60, hour: 3600, day: 86_400 }

/** By the clock that a reply's dates are of, its sender's, or else by ours. In milliseconds since 1970. */
export function sentAtMs({ date = '' }: IncomingHttpHeaders, wallClockMs: number): number {
  const sentMs = httpDateMs(date)
  return Number.isNaN(sentMs) ? wallClockMs : sentMs
}

/**
 * When a refusal says to come again, in whole seconds: Retry-After, or what the body's message says: a date (`until
 * 2026-12-01T00:00:00Z`), or a duration (`in 30 minutes`, `"retry_after": 30`). Undefined where nothing is said.
 */
export function retryAfterSeconds(headers: IncomingHttpHeaders, body: string, wallClockMs: number): number | undefined {
  const epochMs = sentAtMs(headers, wallClockMs)
  const fieldMs = retryAfterMs(headers['retry-after'], epochMs)
  if (fieldMs !== undefined) return Math.ceil(fieldMs / 1000)
  const seconds = dateIn(body, epochMs) ?? durationIn(body)
  return seconds !== undefined && seconds > 0 && seconds <= maxSeconds ? seconds : undefined
}

function dateIn(body: string, epochMs: number): number | undefined {
  const text =
    /\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?: ?(?:Z|UTC|GMT|[+-]\d\d:?\d\d))?)?/.exec(body)?.[0] ??
    /[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT/.exec(body)?.[0]
  if (text === undefined) return undefined
  // Without a zone it is UTC, as quotas are; Date.parse would take the machine's.
  const isZoned = /(?:Z|UTC|GMT|[+-]\d\d:?\d\d)$/.test(text) || /^\d{4}-\d\d-\d\d$/.test(text)
  const atMs = Date.parse(isZoned ? text.replace(' UTC', 'Z') : `${text.replace(' ', 'T')}Z`)
  return Number.isNaN(atMs) ? undefined : Math.ceil((atMs - epochMs) / 1000)
}

function durationIn(body: string): number | undefined {
  const named = /"retry[_-]?after(?:[_-]?seconds)?"\s*:\s*"?(\d{1,7})/i.exec(body)?.[1]
  if (named !== undefined) return Number(named)
  const [, count, unit = ''] = /\b(?:in|after|for) (\d{1,6}) (second|minute|hour|day)s?\b/i.exec(body) ?? []
  return count === undefined ? undefined : Number(count) * (secondsOf[unit.toLowerCase()] ?? 0)
}
