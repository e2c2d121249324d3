import { EventEmitter } from 'node:events'
import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'
import { errorCode } from '@ipfleet/core/error-code.ts'
import { inSpan, type SpanAttributes } from '@ipfleet/core/span.ts'
import { noFieldValue } from '@ipfleet/proxy/http1/raw-fields.ts'
import { Cancellation } from './cancellation.ts'
import { GotTransport } from './got-transport.ts'
import { LeanTransport } from './lean-transport.ts'
import type { Provider } from './providers/provider.ts'
import type { Reply } from './reply.ts'
import { sharedLifetime } from './shared-lifetime.ts'
import {
  failureWithCode,
  type IncomingAnswer,
  type OutgoingRequest,
  type Transport,
  TransportError,
} from './transport.ts'
import type { UpstreamRequest } from './upstream-request.ts'
import { utf8Text } from './utf8-text.ts'

export interface UpstreamClientOptions {
  readonly provider: Provider
  readonly userAgent: string
  /** Of one body, after inflation. */
  readonly maxBodyBytes: number
  readonly maxSockets: number
  /** Of a forward proxy through which everything goes: http://user:password@host:port. */
  readonly proxyUrl?: string | undefined
  /** How long a connection is used; then the name is looked up anew. Default a minute. */
  readonly maxConnectionLifeMs?: number
  readonly clock?: Clock
}

/**
 * The only way to upstream. A request carries the key and nothing of the client's. It is sent once, or again on a new
 * connection when the one that it was sent on turns out to be stale. One deadline covers everything from connecting
 * to the last byte, bodies are cut off at a size, redirects are not followed, and errors are told by code only.
 */
export class UpstreamClient extends EventEmitter<{ call: [durationMs: number, outcome: Reply['kind']] }> {
  readonly provider: Provider
  readonly #headers: Record<string, string>
  readonly #clock: Clock
  /** For what is asked often. */
  readonly #lean: Transport
  /** For the rest, and through a forward proxy. */
  readonly #versatile: Transport
  readonly #underWay = new Set<Cancellation>()
  #closed = false
  #failures = 0

  constructor(options: UpstreamClientOptions) {
    super()
    const { provider, userAgent, maxBodyBytes, maxSockets, proxyUrl, clock = monotonicClock } = options
    const maxLifeMs = options.maxConnectionLifeMs ?? defaultMaxLifeMs
    this.provider = provider
    this.#headers = { 'user-agent': userAgent, accept: 'application/json' }
    this.#clock = clock
    this.#versatile = new GotTransport({ maxBodyBytes, maxSockets, proxyUrl, maxLifeMs })
    this.#lean = proxyUrl === undefined ? new LeanTransport({ maxBodyBytes, maxSockets, maxLifeMs }) : this.#versatile
  }

  /** Calls since start that brought no usable answer. */
  get failures(): number {
    return this.#failures
  }

  /** Asks once, with one key. Never throws. @param deadlineMs monotonic */
  async ask(request: UpstreamRequest, key: string, deadlineMs: number): Promise<Reply> {
    const startedMs = this.#clock.nowMs()
    const reply = await this.#ask(request, key, deadlineMs)
    if (reply.kind === 'failed') this.#failures += 1
    this.emit('call', this.#clock.nowMs() - startedMs, reply.kind)
    return reply
  }

  /** Ends every connection; requests under way fail at once, as do later ones. */
  close(): void {
    this.#closed = true
    // First the requests: one that waits for a socket would be sent when the agent gives up another's.
    for (const cancellation of this.#underWay) cancellation.cancel()
    this.#lean.close()
    this.#versatile.close()
  }

  async #ask(request: UpstreamRequest, key: string, deadlineMs: number): Promise<Reply> {
    const leftMs = Math.ceil(deadlineMs - this.#clock.nowMs())
    if (this.#closed) return closedFailure
    if (leftMs <= 0) return { kind: 'failed', code: 'upstream_timeout', detail: 'no time left to ask' }
    const cancellation = new Cancellation()
    const timer = setTimeout(() => cancellation.cancel(), leftMs)
    this.#underWay.add(cancellation)
    try {
      return await this.#askTwiceIfUnread(request, key, cancellation)
    } catch (error) {
      if (this.#closed) return closedFailure
      if (!cancellation.isCancelled) return failureOf(error)
      return { kind: 'failed', code: 'upstream_timeout', detail: `nothing within ${leftMs} ms` }
    } finally {
      clearTimeout(timer)
      this.#underWay.delete(cancellation)
    }
  }

  /** Once more on a new connection where the connection was at fault: it was stale, or upstream says so (408, 421). */
  async #askTwiceIfUnread(request: UpstreamRequest, key: string, cancellation: Cancellation): Promise<Reply> {
    const transport = isFrequent(request) ? this.#lean : this.#versatile
    const outgoing = this.#outgoing(request, key)
    try {
      const reply = this.#read(await send(transport, outgoing, cancellation, false), request)
      if (reply.kind !== 'failed' || reply.again !== 'connection' || !isSafeTwice(request)) return reply
    } catch (error) {
      const isWorthASecond = isSafeTwice(request) && error instanceof TransportError && error.isStale
      if (!isWorthASecond || cancellation.isCancelled) throw error
    }
    return this.#read(await send(transport, outgoing, cancellation, true), request)
  }

  #outgoing(request: UpstreamRequest, key: string): OutgoingRequest {
    const { method, body } = request
    const headers = { ...this.#headers, ...this.provider.credentials(key) }
    return {
      method,
      // Callers do not ask what the provider does not offer.
      url: new URL(this.provider.urlOf(request) ?? ''),
      headers: body ? { ...headers, 'content-type': body.contentType } : headers,
      body: body?.bytes,
    }
  }

  #read({ status, headers, body }: IncomingAnswer, request: UpstreamRequest): Reply {
    const { location = '', 'content-type': contentType = '' } = headers
    // Both are passed on, and others are not: a bell in one of those harms nobody.
    if (noFieldValue.test(contentType) || noFieldValue.test(location)) {
      throw new TransportError('upstream_invalid', 'a field value holds a control character')
    }
    const text = utf8Text({ contentType, body })
    return this.provider.read({ status, ...text, ...sharedLifetime(headers, Date.now()) }, headers, request)
  }
}

/** As a step of the trace. Upstream is not told of it. */
function send(
  transport: Transport,
  request: OutgoingRequest,
  cancellation: Cancellation,
  isFresh: boolean,
): Promise<IncomingAnswer> {
  const { method, url } = request
  const attributes = (): SpanAttributes => ({
    'http.request.method': method,
    // Some providers take the key in the query.
    'url.full': url.origin + url.pathname,
    'server.address': url.hostname,
  })
  return inSpan({ name: method, kind: 'client', attributes }, async (span) => {
    const answer = await transport.send(request, cancellation, isFresh)
    span?.set({ 'http.response.status_code': answer.status })
    return answer
  })
}

/** Records and their parts, accounts, and batches; not tools and downloads. */
function isFrequent(request: UpstreamRequest): boolean {
  return isSafeTwice(request) && !/^\/data(?:[/?]|$)/.test(request.path)
}

/** A batch only reads, though it is a POST. A tool is not asked twice: it may count the first time. */
function isSafeTwice({ method, path }: UpstreamRequest): boolean {
  return method === 'GET' || /^\/batch(?:[/?]|$)/.test(path)
}

const closedFailure: Reply = { kind: 'failed', code: 'upstream_unreachable', detail: 'client closed' }

function failureOf(error: unknown): Reply {
  const { code, message } = error instanceof TransportError ? error : failureWithCode(errorCode(error) ?? 'unknown')
  return { kind: 'failed', code, detail: message }
}

const defaultMaxLifeMs = 60_000
