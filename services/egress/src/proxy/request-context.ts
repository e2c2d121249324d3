import type { IncomingMessage } from 'node:http'
import type { RawFields } from '@ipfleet/proxy/http1/exchange-types.ts'
import { ForwardedHeaders } from '@ipfleet/proxy/forwarded-headers.ts'
import type { Session, Source } from '../sources/source-pool.ts'
import { REQUEST_ID, requestIdOf } from '@ipfleet/http-server/request-id.ts'
import { authorityOf, type Target, type TargetAddress } from '@ipfleet/net/target.ts'
import type { Refusal } from './proxy-status.ts'

/** Who asks, and what that one may. */
export interface Identity {
  /** Undefined: there are no credentials to bring. */
  readonly user: string | undefined
  readonly session: Session | undefined
  /** Of the user; undefined: that of everybody. */
  readonly limit: { readonly burst: number; readonly refillPerSecond: number } | undefined
  readonly maxTunnels: number | undefined
  /** Undefined: whatever the policy allows. */
  readonly mayReach: ((target: Target) => (address: TargetAddress) => boolean) | undefined
}

/** All that is told of one request, when it is over. */
export interface RequestEnd {
  readonly id: string
  readonly method: string
  /** Without its query. */
  readonly path: string
  readonly status: number
  readonly client: string
  readonly user: string | undefined
  /** `host:port`. */
  readonly target: string | undefined
  readonly source: Source | undefined
  readonly refusal: Refusal | undefined
  readonly durationMs: number
}

/** One request on its way through the proxy, and what becomes known of it. */
export class RequestContext {
  readonly id: string
  readonly method: string
  readonly client: string
  readonly fields: ForwardedHeaders
  user: string | undefined
  target: Target | undefined
  /** Of a request for a URL: path and query. */
  path = ''
  source: Source | undefined
  /** Set on the answer of an origin, and on that to CONNECT: the client's own id, if it has given one. */
  readonly echoedId: RawFields
  /** Set on the answer, whoever it is from. */
  answerFields: RawFields = []
  readonly #startedMs = performance.now()
  readonly #onEnd: (end: RequestEnd) => void
  #authority: string | undefined
  #ended = false

  constructor(req: IncomingMessage, client: string, onEnd: (end: RequestEnd) => void) {
    this.method = req.method ?? ''
    this.client = client
    this.fields = new ForwardedHeaders(req.rawHeaders)
    this.id = requestIdOf(this.fields.requestId)
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

  /** Counts once, whoever says it first. */
  end(status: number, refusal?: Refusal): void {
    if (this.#ended) return
    this.#ended = true
    const { id, method, client, user, authority: target, source, durationMs } = this
    const query = this.path.indexOf('?')
    const path = query < 0 ? this.path : this.path.slice(0, query)
    this.#onEnd({ id, method, path, status, client, user, target, source, refusal, durationMs })
  }
}
