import type { IncomingMessage } from 'node:http'
import type { Http2ServerRequest } from 'node:http2'
import type { Exchange, HopRequest } from '@ipfleet/hop/hop.ts'
import type { OnwardFields } from '@ipfleet/http/onward-fields.ts'

export interface UploadLimits {
  readonly bodyTimeoutMs: number
  readonly minBodyBytesPerSecond: number
}

/** How the end of a request's body will be known. Only HTTP/2 lets a body come of which no field speaks. */
export function bodyOf(req: IncomingMessage, { chunked, contentLength }: OnwardFields): HopRequest['body'] {
  if (chunked) return 'chunked'
  if (contentLength !== undefined) return Number(contentLength)
  if (req.httpVersionMajor !== 2) return 'none'
  const { stream } = req as unknown as Http2ServerRequest
  return stream.endAfterHeaders ? 'none' : 'chunked'
}

/**
 * The body of a request on its way to a backend. As long as no connection has taken any of it, it is kept, so that
 * another backend can be tried.
 */
export class Upload {
  readonly #req: IncomingMessage
  readonly #limits: UploadLimits
  readonly #maxBytes: number
  readonly #onTooLarge: () => void
  #exchange: Exchange | undefined
  #kept: Buffer[] | undefined = []
  #bytes = 0
  #complete = false
  #stopped = false
  #deadlineMs = 0
  /** Since when the backend, not the client, holds the body up. */
  #heldSinceMs: number | undefined

  /** `maxBytes` 0: no limit. */
  constructor(req: IncomingMessage, limits: UploadLimits, maxBytes: number, onTooLarge: () => void) {
    this.#req = req
    this.#limits = limits
    this.#maxBytes = maxBytes
    this.#onTooLarge = onTooLarge
  }

  /** Whether the client has sent all of it. */
  get complete(): boolean {
    return this.#complete
  }

  /** Sends it, from the start, by this exchange. Only as long as none has taken anything. */
  sendBy(exchange: Exchange): void {
    const isFirst = this.#exchange === undefined
    this.#exchange = exchange
    let flows = true
    for (const chunk of this.#kept ?? []) flows = exchange.write(chunk)
    if (this.#complete) exchange.finish(this.#req.rawTrailers)
    if (isFirst) this.#read()
    else if (flows) this.drained()
  }

  /** The connection takes more. */
  drained(): void {
    this.#kept = undefined
    if (this.#heldSinceMs !== undefined) this.#deadlineMs += performance.now() - this.#heldSinceMs
    this.#heldSinceMs = undefined
    if (!this.#stopped) this.#req.resume()
  }

  /** Nobody wants the rest: it is read and forgotten. */
  stop(): void {
    this.#stopped = true
    this.#kept = undefined
    this.#exchange = undefined
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
    })
    // A client that leaves is seen by the answer's side; without a listener Node would throw.
    req.on('error', () => {})
  }

  #take(chunk: Buffer): void {
    if (this.#stopped) return
    this.#bytes += chunk.length
    if (this.#maxBytes > 0 && this.#bytes > this.#maxBytes) {
      this.#onTooLarge()
      return
    }
    this.#kept?.push(chunk)
    if (this.#exchange?.write(chunk) === false) {
      this.#heldSinceMs = performance.now()
      this.#req.pause()
    } else this.#kept = undefined
  }
}
