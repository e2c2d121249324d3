import type { IncomingMessage } from 'node:http'
import { parseTraceparent, type TraceContext } from '@ipfleet/core/trace-context.ts'
import type { RawFields } from '@ipfleet/proxy/http1/exchange-types.ts'
import { ForwardedHeaders } from '@ipfleet/proxy/forwarded-headers.ts'
import type { SourceList } from '../sources/source-list.ts'
import type { Session, Source } from '../sources/source-pool.ts'
import { REQUEST_ID, requestIdOf } from '@ipfleet/http-server/request-id.ts'
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

/** What stands for a method in logs and metrics where a client speaks SOCKS5. */
export const SOCKS5 = 'SOCKS5'

/** Called when a request has ended; for a tunnel (status 200 or 101), when it is open. */
export type OnRequestEnd = (context: RequestContext, status: number, refusal: Refusal | undefined) => void

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
  readonly #onEnd: OnRequestEnd
  #authority: string | undefined
  #ended = false

  constructor(req: Pick<IncomingMessage, 'method' | 'rawHeaders'>, client: string, onEnd: OnRequestEnd) {
    this.method = req.method ?? ''
    this.client = client
    this.fields = new ForwardedHeaders(req.rawHeaders)
    this.id = requestIdOf(this.fields.requestId)
    this.trace = parseTraceparent(this.fields.traceparent)
    this.echoedId = this.id === this.fields.requestId ? [REQUEST_ID, this.id] : []
    this.#onEnd = onEnd
  }

  /** `host:port` of the target, when it is known. */
  get authority(): string | undefined {
    return (this.#authority ??= this.target && authorityOf(this.target))
  }

  get durationMs(): number {
    return performance.now() - this.#startedMs
  }

  /** Only the first call counts. */
  end(status: number, refusal?: Refusal): void {
    if (this.#ended) return
    this.#ended = true
    this.#onEnd(this, status, refusal)
  }
}
