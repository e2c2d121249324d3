import type { IncomingHttpHeaders } from 'node:http'
import { retryAfterMs } from '@ipfleet/http/retry-after.ts'
import type { Reply, UpstreamAnswer } from './reply.ts'
import type { Expected } from './upstream-request.ts'

/** What a provider says in its own words, where the status alone does not tell. */
export interface Dialect {
  /** Of a 401 or 403: that the key is not known, rather than not allowed to ask this. */
  isUnknownToken(answer: UpstreamAnswer): boolean
}

/**
 * Reads a provider's reply. 5xx, redirects and nonsense are failures; so is a web page where data was asked for.
 * What HTTP says for itself is the same for all providers; the rest is in their dialects.
 */
export function classify(
  answer: UpstreamAnswer,
  headers: IncomingHttpHeaders,
  expected: Expected,
  dialect: Dialect,
): Reply {
  const { status } = answer
  if (status === 429)
    return { kind: 'limited', retryAfterSeconds: wholeSeconds(retryAfterMs(headers['retry-after'], Date.now())) }
  if (status === 401 || status === 403) return { kind: 'denied', answer, unknownToken: dialect.isUnknownToken(answer) }
  if (status >= 500) return { kind: 'failed', code: 'upstream_failed', status, detail: `status ${status}` }
  if (status < 200 || (status >= 300 && status < 400)) return invalid(status, `unexpected status ${status}`)
  const fault = contentFault(answer, expected)
  return fault ? invalid(status, fault) : { kind: 'answered', answer }
}

function invalid(status: number, detail: string): Reply {
  return { kind: 'failed', code: 'upstream_invalid', status, detail }
}

function contentFault({ status, contentType, body }: UpstreamAnswer, expected: Expected): string | undefined {
  if (expected === 'any') return undefined
  const type = mediaType(contentType)
  // A field's value may come as text/html (it is shown in browsers); a page starts with a tag.
  const wantsJson = expected === 'json' || expected === 'object'
  if (type.includes('html') && (wantsJson || startsWithTag(body)))
    return `${type} instead of ${wantsJson ? 'json' : expected}`
  const saysJson = type.includes('json')
  // Errors may come as JSON or as text whatever was asked for; a record must be JSON.
  if (wantsJson && !saysJson && status < 300) return `${type} instead of json`
  const isSound = expected === 'object' && status < 300 ? isInBraces(body) : !saysJson || isJson(body)
  return isSound ? undefined : 'malformed JSON'
}

function isInBraces(body: Buffer): boolean {
  return (
    /^\s*\{/.test(body.toString('latin1', 0, 100)) &&
    /\}\s*$/.test(body.toString('latin1', Math.max(0, body.length - 100)))
  )
}

/** Without parameters, where upstream may put anything. RFC 9110 §8.3.1: case does not matter. */
function mediaType(contentType: string): string {
  return contentType.split(';', 1)[0]?.trim().toLowerCase().slice(0, 60) || 'no content type'
}

function startsWithTag(body: Buffer): boolean {
  return body.toString('utf8', 0, 512).trimStart().startsWith('<')
}

function isJson(body: Buffer): boolean {
  try {
    JSON.parse(body.toString('utf8'))
    return true
  } catch {
    return false
  }
}

function wholeSeconds(durationMs: number | undefined): number | undefined {
  return durationMs === undefined ? undefined : Math.ceil(durationMs / 1000)
}
