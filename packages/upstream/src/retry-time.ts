import type { IncomingHttpHeaders } from 'node:http'
import { httpDateMs } from '@ipfleet/core/http-date.ts'
import { retryAfterMs } from '@ipfleet/http-server/retry-after.ts'

/** No quota is longer than a month; a date beyond is of something else. */
const maxSeconds = 32 * 86_400
const secondsOf: Readonly<Record<string, number>> = { second: 1, minute: 60, hour: 3600, day: 86_400 }

/** By the clock that a reply's dates are of, its sender's, or else by ours. In milliseconds since 1970. */
export function sentAtMs({ date = '' }: IncomingHttpHeaders, wallClockMs: number): number {
  const sentMs = httpDateMs(date, wallClockMs)
  return Number.isNaN(sentMs) ? wallClockMs : sentMs
}

/** A moment no later than that after the refusal was sent is the one at which it was made. */
const madeWithinSeconds = 2

/**
 * When a refusal says to come again, in whole seconds: Retry-After, or what the body says: a member (`"retry_after": 30`,
 * `"reset": 1796083200`), a duration (`in 30 minutes`), or a date (`until 2026-12-01T00:00:00Z`). Undefined where nothing
 * is said.
 */
export function retryAfterSeconds(headers: IncomingHttpHeaders, body: string, wallClockMs: number): number | undefined {
  const epochMs = sentAtMs(headers, wallClockMs)
  const fieldMs = retryAfterMs(headers['retry-after'], epochMs)
  if (fieldMs !== undefined) return Math.ceil(fieldMs / 1000)
  const seconds = memberIn(body, epochMs) ?? durationIn(body) ?? dateIn(body, epochMs)
  return seconds !== undefined && seconds > 0 && seconds <= maxSeconds ? seconds : undefined
}

/** In other units, or as a moment, it is no number of seconds: `"retry_after_minutes": 5`, `"retry_after": "2026-12-01"`. */
const waitMember =
  /"retry[_-]?after[_-]?(?:(ms|millis\w*)|s|secs?|seconds?|)"\s*:\s*"?(\d{1,9}(?:\.\d+)?)(?:"|s"|)\s*[,}]/i
/** Ten digits are seconds since 1970, thirteen milliseconds. */
const momentMember =
  /"(?:retry[_-]?after|(?:[\w-]*(?:limit|quota|window|next)[_-]?)?reset)[\w-]*"\s*:\s*"?(\d{10}(?:\d{3})?)\b/i

function memberIn(body: string, epochMs: number): number | undefined {
  const [, milliseconds, count] = waitMember.exec(body) ?? []
  if (count !== undefined) return Math.ceil(Number(count) / (milliseconds === undefined ? 1 : 1000))
  const moment = momentMember.exec(body)?.[1]
  return moment === undefined ? undefined : Math.ceil((Number(moment.padEnd(13, '0')) - epochMs) / 1000)
}

/** `1000 requests in 1 day` is how much may be asked, and no time to wait. */
const duration =
  /(?<!\b(?:request|call|quer(?:y|ie)|look-?up|use|time|unit)s? )\b(?:in|after|for) (\d{1,6}) (second|minute|hour|day)s?\b/i

function durationIn(body: string): number | undefined {
  const [, count, unit = ''] = duration.exec(body) ?? []
  return count === undefined ? undefined : Number(count) * (secondsOf[unit.toLowerCase()] ?? 0)
}

const dates =
  /\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?: ?(?:Z|UTC|GMT|[+-]\d\d:?\d\d))?)?|[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT/g

function dateIn(body: string, epochMs: number): number | undefined {
  const seconds = (body.match(dates) ?? []).map((text) => Math.ceil((dateMs(text) - epochMs) / 1000))
  return seconds.find((left) => left > madeWithinSeconds)
}

/** Without a zone it is UTC, as quotas are; Date.parse would take the machine's. */
function dateMs(text: string): number {
  const isZoned = /(?:Z|UTC|GMT|[+-]\d\d:?\d\d)$/.test(text) || /^\d{4}-\d\d-\d\d$/.test(text)
  return Date.parse(isZoned ? text.replace(' UTC', 'Z') : `${text.replace(' ', 'T')}Z`)
}
