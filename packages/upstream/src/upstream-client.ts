import { EventEmitter } from 'node:events'
import type { ClientRequest } from 'node:http'
import type { Socket } from 'node:net'
import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'
import { errorCode } from '@ipfleet/core/error-code.ts'
import got, { type Request } from 'got'
import type { Provider } from './providers/provider.ts'
import { isOfProxy, proxyFailure, statusOfRefusedTunnel } from './proxy-failure.ts'
import type { Reply } from './reply.ts'
import { sharedLifetime } from './shared-lifetime.ts'
import { type Agents, UpstreamAgents } from './upstream-agents.ts'
import type { UpstreamRequest } from './upstream-request.ts'

export interface UpstreamClientOptions {
  readonly provider: Provider
  readonly userAgent: string
  /** Of one body, after inflation. */
  readonly maxBodyBytes: number
  readonly maxSockets: number
  /** Of a forward proxy through which everything goes: http://user:password@host:port. */
  readonly proxyUrl?: string | undefined
  readonly clock?: Clock
}

/**
 * The only way to upstream. A request carries the key and nothing of the client's. It is sent once, or again on a new
 * connection when the one that it was sent on turns out to be stale. One deadline covers everything from connecting
 * to the last byte, bodies are cut off at a size, redirects are not followed, and errors are told
 * by code only: got 16 puts the URL and the headers, the key among them, into its own.
 */
export class UpstreamClient extends EventEmitter<{ call: [durationMs: number, outcome: Reply['kind']] }> {
  readonly provider: Provider
  readonly #headers: Record<string, string>
  readonly #maxBodyBytes: number
  readonly #clock: Clock
  readonly #agents: UpstreamAgents
  readonly #isProxied: boolean
  readonly #underWay = new Set<AbortController>()
  #closed = false
  #failures = 0

  constructor(options: UpstreamClientOptions) {
    super()
    const { provider, userAgent, maxBodyBytes, maxSockets, proxyUrl, clock = monotonicClock } = options
    this.provider = provider
    this.#headers = { 'user-agent': userAgent, accept: 'application/json' }
    this.#maxBodyBytes = maxBodyBytes
    this.#clock = clock
    this.#agents = new UpstreamAgents({ maxSockets, proxyUrl })
    this.#isProxied = proxyUrl !== undefined
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
    for (const abort of this.#underWay) abort.abort()
    this.#agents.close()
  }

  async #ask(request: UpstreamRequest, key: string, deadlineMs: number): Promise<Reply> {
    const leftMs = Math.ceil(deadlineMs - this.#clock.nowMs())
    if (this.#closed) return closedFailure
    if (leftMs <= 0) return { kind: 'failed', code: 'upstream_timeout', detail: 'no time left to ask' }
    // Not AbortSignal.timeout: it keeps a timer for each request until the deadline, long after the answer.
    const abort = new AbortController()
    const timer = setTimeout(() => abort.abort(), leftMs)
    this.#underWay.add(abort)
    try {
      return await this.#askTwiceIfUnread(request, key, abort.signal)
    } catch (error) {
      if (this.#closed) return closedFailure
      if (!abort.signal.aborted) return failureOf(error)
      return { kind: 'failed', code: 'upstream_timeout', detail: `nothing within ${leftMs} ms` }
    } finally {
      clearTimeout(timer)
      this.#underWay.delete(abort)
    }
  }

  /** Once more on a new connection where the connection was at fault: it was stale, or upstream says so (408, 421). */
  async #askTwiceIfUnread(request: UpstreamRequest, key: string, signal: AbortSignal): Promise<Reply> {
    const stream = this.#send(request, key, signal, this.#agents.pooled)
    const watch = new StaleConnectionWatch(stream)
    try {
      const reply = await this.#read(stream, request)
      if (reply.kind !== 'failed' || reply.again !== 'connection' || !isSafeTwice(request)) return reply
    } catch (error) {
      stream.destroy()
      const isWorthASecond = isSafeTwice(request) && watch.metStaleConnection(codeOf(error))
      if (!isWorthASecond || signal.aborted) throw error
    }
    // Not from the pool: what else lies idle there is as old.
    const second = this.#send(request, key, signal, this.#agents.fresh)
    try {
      return await this.#read(second, request)
    } finally {
      second.destroy()
    }
  }

  #send(request: UpstreamRequest, key: string, signal: AbortSignal, agent: Agents): Request {
    const { method, body } = request
    const headers = { ...this.#headers, ...this.provider.credentials(key) }
    // Callers do not ask what the provider does not offer; got would fail on the empty URL.
    return got.stream(this.provider.urlOf(request) ?? '', {
      method,
      headers: body ? { ...headers, 'content-type': body.contentType } : headers,
      ...(body ? { body: body.bytes } : {}),
      agent,
      signal,
      retry: { limit: 0 },
      followRedirect: false,
      throwHttpErrors: false,
    })
  }

  async #read(stream: Request, request: UpstreamRequest): Promise<Reply> {
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > this.#maxBodyBytes) {
        stream.destroy()
        return { kind: 'failed', code: 'upstream_invalid', detail: `body over ${this.#maxBodyBytes} bytes` }
      }
      chunks.push(chunk)
    }
    const { response } = stream
    if (!response) return { kind: 'failed', code: 'upstream_unreachable', detail: 'closed without an answer' }
    const isPlain = this.#isProxied && response.url.startsWith('http:')
    if (isPlain && isOfProxy(response.statusCode, response.headers)) return proxyFailure(response.statusCode)
    const contentType = response.headers['content-type'] ?? ''
    const lifetime = sharedLifetime(response.headers, Date.now())
    const answer = { status: response.statusCode, contentType, body: Buffer.concat(chunks), ...lifetime }
    return this.provider.read(answer, response.headers, request)
  }
}

/** Codes of zlib (gzip and deflate, zstd, brotli) and of the HTTP parser: what came cannot be read. */
const nonsense = /^(Z_|ZSTD_|ERR__|HPE_)/

/** A batch only reads, though it is a POST. A tool is not asked twice: it may count the first time. */
function isSafeTwice({ method, path }: UpstreamRequest): boolean {
  return method === 'GET' || /^\/batch(?:[/?]|$)/.test(path)
}

const closedFailure: Reply = { kind: 'failed', code: 'upstream_unreachable', detail: 'client closed' }

/** Which failure an error of got or of the socket is, by code; its message is not used (it may hold anything). */
function failureOf(error: unknown): Reply {
  const proxyStatus = statusOfRefusedTunnel(error instanceof Error ? error.cause : undefined)
  if (proxyStatus !== undefined) return proxyFailure(proxyStatus)
  const code = codeOf(error)
  return {
    kind: 'failed',
    code: nonsense.test(code) ? 'upstream_invalid' : 'upstream_unreachable',
    detail: code,
  }
}

/** got 16 hides the code of an error of the body's stream (zlib's) behind one of its own. */
function codeOf(error: unknown): string {
  const code = errorCode(error) ?? 'unknown'
  const isOfStream = code === 'ERR_READING_RESPONSE_STREAM' && error instanceof Error
  return (isOfStream ? errorCode(error.cause) : undefined) ?? code
}

/** Codes of a connection that the other side has given up. */
const goneCodes: ReadonlySet<unknown> = new Set(['ECONNRESET', 'EPIPE'])

/**
 * Watches whether a request is sent on a connection that lay idle and that upstream was closing at that moment. Such a
 * request was not read, as a rule, and a GET may be sent again (RFC 9112
 * §9.3.1). One whose answer had begun to come may not: it was read.
 */
class StaleConnectionWatch {
  #request: ClientRequest | undefined
  #socket: Socket | undefined
  #bytesBefore = 0

  constructor(stream: Request) {
    stream.once('request', (request: ClientRequest) => {
      this.#request = request
      request.once('socket', (socket) => {
        this.#socket = socket
        this.#bytesBefore = socket.bytesRead
      })
    })
  }

  /** Whether `code` is how a request on a stale connection fails, and no byte of an answer has come. */
  metStaleConnection(code: string): boolean {
    const isReused = this.#request?.reusedSocket === true
    return isReused && goneCodes.has(code) && this.#socket?.bytesRead === this.#bytesBefore
  }
}
