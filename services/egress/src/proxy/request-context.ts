import type { IncomingMessage } from 'node:http'
import type { Span } from '@ipfleet/core/span.ts'
import { parseTraceparent, type TraceContext } from '@ipfleet/core/trace-context.ts'
import type { RawFields } from '@ipfleet/proxy/http1/exchange-types.ts'
import { ForwardedHeaders } from '@ipfleet/proxy/forwarded-headers.ts'
import type { SourceList } from '../sources/source-list.ts'
import type { Session, Source } from '../sources/source-pool.ts'
import { REQUEST_ID, requestIdOf } from '@ipfleet/http-server/request-id.ts'
import { beginServerSpan, endServerSpan } from '@ipfleet/telemetry/tracing/http-spans.ts'
import type { Tracer } from '@ipfleet/telemetry/tracing/tracer.ts'
import { authorityOf, type Target, type TargetAddress } from '@ipfleet/net/target.ts'
import type { Refusal } from './proxy-status.ts'

/** A client that was let in, and what it may do. */
export interface Identity {
  /** Undefined if the proxy asks for no credentials. */
  readonly user: string | undefined
  readonly session: Session | undefined
  /** The source that the client names with its user: an address, or the label of a parent. */
  readonly source: string | undefined
  /** Which sources it may choose. Undefined: none. */
  readonly mayChoose: SourceList | undefined
  /** The user's own limit; undefined: the limit of the settings. */
  readonly limit: { readonly burst: number; readonly refillPerSecond: number } | undefined
  readonly maxTunnels: number | undefined
  /** Undefined: all targets that the policy allows. */
  readonly mayReach: ((target: Target) => (address: TargetAddress) => boolean) | undefined
}

/** Where the proxy asks for no credentials. */
export const anybody: Identity = {
  user: undefined,
  session: undefined,
  source: undefined,
  mayChoose: undefined,
  limit: undefined,
  maxTunnels: undefined,
  mayReach: undefined,
}

/** What stands for a method in logs and metrics where a client speaks SOCKS5. */
export const SOCKS5 = 'SOCKS5'

export interface RequestWatch {
  readonly tracer: Tracer
  readonly record: {
    /** Called when a request has ended; for a tunnel (status 200 or 101), when it is open. */
    requestEnded(context: RequestContext, status: number, refusal: Refusal | undefined): void
  }
}

/** What is known of one request, from its head to its end. */
export class RequestContext {
  readonly id: string
  readonly trace: TraceContext | undefined
  readonly method: string
  readonly client: string
  readonly fields: ForwardedHeaders
  user: string | undefined
  target: Target | undefined
  /** Of a request for a URL: path and query. */
  path = ''
  source: Source | undefined
  /** For the answer of an origin and that to CONNECT: the client's own request id, if it sent one. */
  readonly echoedId: RawFields
  /** Fields for any answer, from an origin or from the proxy. */
  answerFields: RawFields = []
  readonly #startedMs = performance.now()
  readonly #record: RequestWatch['record']
  readonly #span: Span | undefined
  #authority: string | undefined
  #ended = false

  constructor(req: Pick<IncomingMessage, 'method' | 'rawHeaders'>, client: string, { record, tracer }: RequestWatch) {
    this.method = req.method ?? ''
    this.client = client
    this.fields = new ForwardedHeaders(req.rawHeaders)
    this.id = requestIdOf(this.fields.requestId)
    const parent = parseTraceparent(this.fields.traceparent)
    // The target is told when it has been read: what the client wrote may hold a password.
    this.#span = beginServerSpan(tracer, { id: this.id, method: this.method, target: '', client, parent })
    this.trace = this.#span?.context ?? parent
    this.echoedId = this.id === this.fields.requestId ? [REQUEST_ID, this.id] : []
    this.#record = record
  }

  /** `host:port` of the target, when it is known. */
  get authority(): string | undefined {
    return (this.#authority ??= this.target && authorityOf(this.target))
  }

  /** The lines that tell an origin which trace it continues: the client's. None is begun for strangers. */
  get traceLines(): string {
    return parseTraceparent(this.fields.traceparent) ? this.fields.traceLines(this.#span?.context) : ''
  }

  get durationMs(): number {
    return performance.now() - this.#startedMs
  }

  /** Only the first call counts. */
  end(status: number, refusal?: Refusal): void {
    if (this.#ended) return
    this.#ended = true
    this.#record.requestEnded(this, status, refusal)
    this.#span?.set({
      'server.address': this.target?.host,
      'server.port': this.target?.port,
      'url.path': this.path.split('?', 1)[0] || undefined,
    })
    endServerSpan(this.#span, { status, code: refusal?.status, backend: this.source?.address })
  }
}
