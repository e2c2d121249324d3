/** RFC 9110 §5.6.7, in its preferred and its obsolete form. `Date.parse` alone takes `-5` for a day in May 2001. */
const httpDate = /^[A-Z][a-z]+, .+ \d\d:\d\d:\d\d GMT$/

/**
 * RFC 9110 §10.2.3: seconds or a date, in milliseconds from now. Undefined when absent or senseless. Fractions of a
 * second, which the RFC does not know, are sent by servers that divide milliseconds (rate-limiter-flexible's README).
 */
export function retryAfterMs(field: string | undefined, epochMs: number): number | undefined {
  const text = field?.trim() ?? ''
  if (/^\d{1,9}(\.\d{1,9})?$/.test(text)) return Math.ceil(Number(text) * 1000)
  const atMs = httpDateMs(text)
  return Number.isNaN(atMs) ? undefined : Math.max(0, atMs - epochMs)
}

/** In milliseconds since 1970; NaN for what is no date of RFC 9110. */
export function httpDateMs(text: string): number {
  return httpDate.test(text) ? Date.parse(text) : NaN
}
