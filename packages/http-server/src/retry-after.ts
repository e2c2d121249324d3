import { httpDateMs } from '@ipfleet/core/http-date.ts'

/**
 * RFC 9110 §10.2.3: seconds or a date, in milliseconds from now. Undefined when absent or senseless. Fractions of a
 * second, which the RFC does not know, are sent by servers that divide milliseconds (rate-limiter-flexible's README).
 */
export function retryAfterMs(field: string | undefined, epochMs: number): number | undefined {
  const text = field?.trim() ?? ''
  if (/^\d{1,9}(\.\d{1,9})?$/.test(text)) return Math.ceil(Number(text) * 1000)
  const atMs = httpDateMs(text, epochMs)
  return Number.isNaN(atMs) ? undefined : Math.max(0, atMs - epochMs)
}
