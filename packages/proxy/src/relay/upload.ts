import type { IncomingMessage } from 'node:http'
import type { Http2ServerRequest } from 'node:http2'
import type { Exchange } from '../http1/exchange.ts'
import type { UpstreamRequest } from '../http1/exchange-types.ts'
import type { SharedQuota } from '../http1/shared-quota.ts'
import type { ForwardedHeaders } from '../forwarded-headers.ts'

export interface UploadLimits {
  readonly bodyTimeoutMs: number
  readonly minBodyBytesPerSecond: number
}

/** What is collected of a body before a server is asked. */
export interface CollectOptions {
  readonly maxBytes: number
  /** How long it is collected at most. What takes longer may be a conversation, in which the server speaks first. */
  readonly maxMs: number
  /** Bytes for all bodies, shared by clients. When a client has no more of them, what has come has to do. */
  readonly memory: SharedQuota
  readonly client: string
}

/** How the end of a request's body will be known. Only HTTP/2 lets a body come of which no field speaks. */
export function bodyOf(req: IncomingMessage, { chunked, contentLength }: ForwardedHeaders): UpstreamRequest['body'] {
  if (chunked) return 'chunked'
  if (contentLength !== undefined) return Number(contentLength)
  if (req.httpVersionMajor !== 2) return 'none'
  const { stream } = req as unknown as Http2ServerRequest
  return stream.endAfterHeaders ? 'none' : 'chunked'
}

interface Collecting extends CollectOptions {
  readonly onReady: () => void
  readonly untilMs: number
}

type BodySink = Pick<Exchange, 'write' | 'finish'>

/**
 * The body of a request on its way to a backend. As long as no connection has taken any of it, it is kept, so that
 * another backend can be tried.
 */
export class Upload {
  readonly #req: IncomingMessage
  readonly #limits: UploadLimits
  readonly #maxBytes: number
  readonly #onTooLarge: () => void
  #exchange: BodySink | undefined
  #collecting: Collecting | undefined
  #isSlow = false
  #collectedBytes = 0
  #releaseMemory: (() => void) | undefined
  #kept: Buffer[] | undefined = []
  #bytes = 0
  #complete = false
  #stopped = false
  #deadlineMs = 0
  /** Since when the backend, not the client, holds the body up. */
  #heldSinceMs: number | undefined
  #awaitsGo = false

  /** `maxBytes` 0: no limit. */
  constructor(req: IncomingMessage, limits: UploadLimits, maxBytes: number, onTooLarge: () => void) {
    this.#req = req
    this.#limits = limits
    this.#maxBytes = maxBytes
    this.#onTooLarge = onTooLarge
  }

  /** Whether all of it was awaited in vain before a server was asked. */
  get isSlow(): boolean {
    return this.#isSlow
  }

  /** Whether the client has sent all of it. */
  get complete(): boolean {
    return this.#complete
  }

  /**
   * Reads until all of it has come, or `maxBytes`, or for `maxMs`, or there is no memory for more; only then calls
   * `onReady`. So a client that does not send what it has announced holds no connection to a server that others need.
   */
  collect(options: CollectOptions, onReady: () => void): void {
    this.#collecting = { ...options, onReady, untilMs: performance.now() + options.maxMs }
    this.#read()
  }

  /** Sends it, from the start, by this exchange. Only as long as none has taken anything. */
  sendBy(exchange: BodySink): void {
    const isUnread = this.#deadlineMs === 0
    const kept = this.#kept ?? []
    this.#exchange = exchange
    let flows = true
    for (const chunk of kept) flows = exchange.write(chunk)
    if (this.#complete) exchange.finish(this.#req.rawTrailers)
    if (isUnread) this.#read()
    // What comes later is still to be kept where there was nothing to take.
    else if (kept.length === 0) this.#readOn()
    else if (flows) this.drained()
  }

  /** Whether all that has come is kept. */
  get isWhole(): boolean {
    return this.#kept !== undefined
  }

  /** The client may wait to be told to go on, which is up to the server. */
  awaitGo(): void {
    if (this.#bytes > 0 || this.#complete) return
    this.#awaitsGo = true
    this.#heldSinceMs ??= performance.now()
  }

  /** Whether the client may still wait to be told to go on. */
  get awaitsGo(): boolean {
    return this.#awaitsGo
  }

  /** The server has said so, or answered, or the client has not waited for it. */
  go(): void {
    if (!this.#awaitsGo) return
    this.#awaitsGo = false
    this.#readOn()
  }

  /** There is no connection for now: what has come is kept, and the client is not read. */
  hold(): void {
    this.#exchange = undefined
    this.#heldSinceMs ??= performance.now()
    this.#req.pause()
  }

  /** The connection takes more. */
  drained(): void {
    this.#forget()
    this.#readOn()
  }

  /** The rest is not wanted: it is read and dropped. */
  stop(): void {
    this.#stopped = true
    this.#collecting = undefined
    this.#forget()
    this.#exchange = undefined
    // A stream of HTTP/2 is not closed before it is read to its end.
    this.#req.resume()
  }

  get isCollecting(): boolean {
    return this.#collecting !== undefined
  }

  /** Called now and then: what has been collected for long enough goes on as it is. */
  checkCollecting(nowMs: number): void {
    if (this.#collecting && nowMs >= this.#collecting.untilMs) {
      this.#isSlow = true
      this.#collected()
    }
  }

  /** Whether the client takes longer over it than it may. */
  isLate(nowMs: number): boolean {
    if (this.#complete || this.#stopped || this.#heldSinceMs !== undefined) return false
    return nowMs > this.#deadlineMs + (this.#bytes / this.#limits.minBodyBytesPerSecond) * 1000
  }

  #read(): void {
    const req = this.#req
    this.#deadlineMs = performance.now() + this.#limits.bodyTimeoutMs
    req.on('data', (chunk: Buffer) => this.#take(chunk))
    req.on('end', () => {
      this.#complete = true
      this.#exchange?.finish(req.rawTrailers)
      this.#collected()
    })
    // A client that leaves is seen by the answer's side; without a listener Node would throw.
    req.on('error', () => {})
  }

  #readOn(): void {
    if (this.#heldSinceMs !== undefined) this.#deadlineMs += performance.now() - this.#heldSinceMs
    this.#heldSinceMs = undefined
    if (!this.#stopped) this.#req.resume()
  }

  #take(chunk: Buffer): void {
    if (this.#stopped) return
    this.go()
    this.#bytes += chunk.length
    if (this.#maxBytes > 0 && this.#bytes > this.#maxBytes) {
      this.#onTooLarge()
      return
    }
    this.#kept?.push(chunk)
    if (this.#collecting) {
      this.#collect(chunk, this.#collecting)
      return
    }
    if (this.#exchange?.write(chunk) === false) {
      this.#heldSinceMs = performance.now()
      this.#req.pause()
    } else this.#forget()
  }

  #collect(chunk: Buffer, { maxBytes, memory, client }: CollectOptions): void {
    const hasRoom = memory.take(client, chunk.length) === undefined
    if (hasRoom) this.#collectedBytes += chunk.length
    this.#releaseMemory ??= () => memory.release(client, this.#collectedBytes)
    if (hasRoom && this.#bytes < maxBytes) return
    this.#heldSinceMs = performance.now()
    this.#req.pause()
    this.#collected()
  }

  #collected(): void {
    const { onReady } = this.#collecting ?? {}
    this.#collecting = undefined
    onReady?.()
  }

  /** It has been taken, or will not be. */
  #forget(): void {
    this.#kept = undefined
    this.#releaseMemory?.()
    this.#releaseMemory = undefined
  }
}
