import { isUtf8 } from 'node:buffer'
import type { IncomingHttpHeaders } from 'node:http'
import { isRecord, parseJson } from '@ipfleet/core/json.ts'
import { embeddedErrorStatus } from './embedded-error.ts'
import type { Product } from './product.ts'
import { isRecordOf } from './record-address.ts'
import type { Reply, UpstreamAnswer } from './reply.ts'
import { retryAfterSeconds } from './retry-time.ts'
import { type Action, actionFor, readableLength, type Rule } from './rules.ts'
import type { UpstreamRequest } from './upstream-request.ts'

/** What a reply is read by: what was asked, of which product, and the provider's rules. */
interface Context {
  readonly request: UpstreamRequest
  readonly product: Product
  readonly rules: readonly Rule[]
}

/** An object of more bytes is a record or a batch, and no error. */
const maxErrorBytes = 4096

/**
 * Reads a provider's reply. The rules say what a status means; here it is seen what the body is: an answer that can
 * be passed on, a web page, nonsense, an error under a status of success, or the record of another address.
 */
export function classify(told: UpstreamAnswer, headers: IncomingHttpHeaders, context: Context): Reply {
  // A 203 is a 200 that a proxy on the way has changed (RFC 9110 §15.3.4).
  const heard = told.status === 203 ? { ...told, status: 200 } : told
  const content = contentOf(heard, context.request)
  const status = heard.status === 200 ? (embeddedErrorStatus(content.value) ?? 200) : heard.status
  const answer = status === heard.status ? heard : { ...heard, status }
  const { rules, product } = context
  const action = actionFor(rules, { status, body: answer.body, isPage: content.isPage, product })
  return replyTo(action, answer, headers, { ...context, fault: content.fault })
}

function replyTo(
  action: Action,
  answer: UpstreamAnswer,
  headers: IncomingHttpHeaders,
  { request, fault }: Context & { readonly fault: string | undefined },
): Reply {
  const { status, body } = answer
  const after = (): number | undefined =>
    retryAfterSeconds(headers, body.toString('utf8', 0, readableLength), Date.now())
  switch (action) {
    case 'answer': {
      if (fault !== undefined) return invalid(status, fault)
      const { location } = headers
      return {
        kind: 'answered',
        answer: location === undefined ? answer : { ...answer, location: withoutToken(location) },
      }
    }
    case 'rest_product':
    case 'rest_key':
    case 'exhaust_product':
    case 'exhaust_key': {
      const reason = action.startsWith('rest') ? 'limited' : 'exhausted'
      const scope = action.endsWith('key') ? 'key' : 'product'
      return { kind: 'limited', scope, reason, status, retryAfterSeconds: after() }
    }
    case 'refuse_query':
      return fault === undefined ? { kind: 'denied', scope: 'query', answer } : invalid(status, fault)
    case 'deny_product':
      return { kind: 'denied', scope: 'product', answer }
    case 'deny_key':
      return { kind: 'denied', scope: 'key', answer }
    case 'settle':
      return { kind: 'denied', scope: request.path === '/me' ? 'key' : 'unclear', answer }
    case 'reconnect':
      return { kind: 'failed', code: 'upstream_failed', status, detail: `status ${status}`, again: 'connection' }
    case 'fail_over':
      return { ...invalid(status, fault ?? `status ${status}`), again: 'key' }
    case 'fail':
      if (status >= 500) return down(status, headers)
      return invalid(status, status < 300 && fault !== undefined ? fault : `unexpected status ${status}`)
  }
}

/** IPinfo takes tokens in URLs, too. */
function withoutToken(location: string): string {
  return location.replaceAll(/(?<=[?&])token=[^&#]*&?/gi, '').replace(/[?&]$/, '')
}

/** An outage may be over sooner than its page says, and who holds to that would stay away. */
const maxOutageSeconds = 3600

/** It may say for how long, in Retry-After: what the body of a page says is no message to clients. */
function down(status: number, headers: IncomingHttpHeaders): Extract<Reply, { kind: 'failed' }> {
  const seconds = retryAfterSeconds(headers, '', Date.now())
  return {
    kind: 'failed',
    code: 'upstream_failed',
    status,
    detail: `status ${status}`,
    ...(seconds !== undefined && { retryAfterSeconds: Math.min(seconds, maxOutageSeconds) }),
  }
}

function invalid(status: number, detail: string): Extract<Reply, { kind: 'failed' }> {
  return { kind: 'failed', code: 'upstream_invalid', status, detail }
}

interface Content {
  /** The JSON in the body, if it was read. */
  readonly value?: unknown
  readonly isPage: boolean
  /** Why the body is no answer to the request. */
  readonly fault: string | undefined
}

function contentOf({ status, contentType, body }: UpstreamAnswer, { expected, path }: UpstreamRequest): Content {
  const type = mediaType(contentType)
  const isPage = type.includes('html') && startsWithTag(body)
  const saysJson = type.includes('json')
  const valueIn = (maxBytes: number): unknown =>
    body.length <= maxBytes && isUtf8(body) ? parseJson(body.toString('utf8')) : undefined
  if (expected === 'any') return { value: saysJson ? valueIn(maxErrorBytes) : undefined, isPage, fault: undefined }
  const wantsJson = expected === 'json' || expected === 'object'
  // A field's value may come as text/html (it is shown in browsers); a page starts with a tag.
  if (type.includes('html') && (wantsJson || isPage)) {
    return { isPage: true, fault: `${type} instead of ${wantsJson ? 'json' : expected}` }
  }
  // A part (206), or a promise (202), which walls in front of upstream answer.
  if (status > 200 && status < 300) return { isPage, fault: `unexpected status ${status}` }
  // Errors may come as JSON or as text whatever was asked for; a record must be JSON.
  if (wantsJson && !saysJson && status < 300) return { isPage, fault: `${type} instead of json` }
  if (!saysJson) return { isPage, fault: undefined }
  // The caller who asks for an object reads every byte of it.
  if (expected === 'object' && status < 300) {
    return {
      value: valueIn(maxErrorBytes),
      isPage,
      fault: isInBraces(body) && isUtf8(body) ? undefined : 'malformed JSON',
    }
  }
  const value = valueIn(Infinity)
  if (value === undefined) return { isPage, fault: 'malformed JSON' }
  const isWhatWasAsked = (expected === 'text' || isRecord(value)) && isRecordOf(value, path)
  return { value, isPage, fault: status < 300 && !isWhatWasAsked ? 'not the record of what was asked' : undefined }
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
