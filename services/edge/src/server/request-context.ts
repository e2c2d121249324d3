import type { IncomingMessage } from 'node:http'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import type { Span } from '@ipfleet/core/span.ts'
import { parseTraceparent } from '@ipfleet/core/trace-context.ts'
import type { RequestFault } from '@ipfleet/http-server/request-guard.ts'
import { REQUEST_ID, requestIdOf } from '@ipfleet/http-server/request-id.ts'
import { ForwardedHeaders } from '@ipfleet/proxy/forwarded-headers.ts'
import type { RawFields } from '@ipfleet/proxy/http1/exchange-types.ts'
import type { SharedQuota } from '@ipfleet/proxy/http1/shared-quota.ts'
import type { ClientAnswer, UpgradeOffer } from '@ipfleet/proxy/relay/client-answer.ts'
import { beginServerSpan, endServerSpan } from '@ipfleet/telemetry/tracing/http-spans.ts'
import type { Tracer } from '@ipfleet/telemetry/tracing/tracer.ts'
import type { ClientShares } from '../limits/client-shares.ts'
import type { ForwardEnd } from '../proxy/forward-types.ts'
import type { Client } from '../proxy/request-head.ts'
import type { RequestEnd } from './request-record.ts'

/** One request as it comes from a server, whichever version of HTTP that speaks. */
export interface Incoming {
  readonly req: IncomingMessage
  readonly answer: ClientAnswer
  readonly secure: boolean
  readonly upgrade: UpgradeOffer | undefined
}

export const noFields: RawFields = []
const allowedMethods = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'

/** Of one request, beside its fields. */
const requestBytes = 1024

/** What a head takes in memory: as RFC 9113 §6.5.2 has it, 32 bytes for each field beside its text. */
function headBytes({ rawHeaders, url = '' }: IncomingMessage): number {
  let bytes = requestBytes + url.length + rawHeaders.length * 16
  for (const text of rawHeaders) bytes += text.length
  return bytes
}

/** What is known of a request before it is begun. */
export interface Arrival {
  readonly client: Client
  /** Whose requests count together. */
  readonly subject: string
  /** `performance.now()` */
  readonly arrivedMs: number
  readonly tracer: Tracer
  /** Told once, when the request is over. */
  readonly onEnd: (end: RequestEnd) => void
}

/** One request on its way through the app. */
export class RequestContext {
  readonly incoming: Incoming
  readonly client: Client
  readonly subject: string
  readonly method: string
  readonly target: string
  readonly fields: ForwardedHeaders
  readonly requestId: string
  /** Undefined while tracing is off. */
  readonly span: Span | undefined
  readonly #traceId: string | undefined
  /** Asked by those who operate the edge, not by a client. */
  isProbe = false
  readonly #startedMs: number
  readonly #onEnd: (end: RequestEnd) => void
  #memory: SharedQuota | undefined
  #headBytes = 0

  constructor(incoming: Incoming, { client, subject, arrivedMs, tracer, onEnd }: Arrival) {
    const { req } = incoming
    this.incoming = incoming
    this.client = client
    this.subject = subject
    this.#startedMs = arrivedMs
    this.method = req.method ?? ''
    this.target = req.url ?? ''
    this.fields = new ForwardedHeaders(req.rawHeaders)
    this.requestId = requestIdOf(this.fields.requestId)
    const parent = parseTraceparent(this.fields.traceparent)
    const { requestId: id, method, target } = this
    this.span = beginServerSpan(tracer, { id, method, target, client: client.address, parent })
    this.#traceId = (this.span?.context ?? parent)?.traceId
    this.#onEnd = onEnd
  }

  /** Set on every answer, a backend's or our own. */
  get idFields(): RawFields {
    return [REQUEST_ID, this.requestId]
  }

  /** Takes the memory of the head until the request is over. @returns what is said when there is none */
  holdHead({ memory, refusal }: ClientShares): ProxyError | undefined {
    const bytes = headBytes(this.incoming.req)
    const why = memory.take(this.subject, bytes)
    if (why !== undefined) return refusal('held_bytes', why)
    this.#memory = memory
    this.#headBytes = bytes
    return undefined
  }

  /** Ends the connection too: what follows on it cannot be trusted. */
  refuseFaulty(fault: RequestFault): void {
    this.incoming.answer.closeAfter()
    const allow = fault === 'method_not_allowed' ? ['Allow', allowedMethods] : noFields
    this.refuse(new ProxyError(fault), allow)
  }

  refuse(error: ProxyError, answerFields: RawFields = noFields): void {
    const { answer, upgrade } = this.incoming
    // The rest of a body is not waited for.
    if (this.fields.bringsBody || upgrade) answer.closeAfter()
    answer.error(error, [...this.idFields, ...answerFields])
    this.answeredHere(error.status, error)
  }

  /** To an OPTIONS that is about this server, or may not be passed on any more. */
  answerOptions(answerFields: RawFields): void {
    // The rest of a body is not waited for.
    if (this.fields.bringsBody || this.incoming.upgrade) this.incoming.answer.closeAfter()
    const fields = ['Allow', allowedMethods, 'Content-Length', '0', ...this.idFields, ...answerFields]
    this.incoming.answer.whole({ status: 200, reason: 'OK' }, fields, Buffer.alloc(0))
    this.answeredHere(200)
  }

  /** The answer did not come from a backend. */
  answeredHere(status: number, error?: ProxyError): void {
    this.end({ status, error, backend: undefined, retries: 0, fault: undefined })
  }

  end(end: ForwardEnd): void {
    const { requestId, method, target, client, isProbe } = this
    this.#memory?.release(this.subject, this.#headBytes)
    this.#memory = undefined
    const { status, error, backend, retries } = end
    if (this.span) endServerSpan(this.span, { status, backend, retries, code: error?.code, probe: isProbe })
    const durationMs = performance.now() - this.#startedMs
    const traceId = this.#traceId
    this.#onEnd({ ...end, requestId, traceId, method, target, client: client.address, isProbe, durationMs })
  }
}
