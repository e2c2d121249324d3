import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'

export interface UploadLimits {
  /** A client may send nothing for so long. Default 30 s. */
  readonly stallMs?: number
  /** A body that comes in slower than this on average is given up. Default 100. */
  readonly minBytesPerSecond?: number
  /** A body that has not come in after this is given up. Default an hour. */
  readonly maxMs?: number
}

const lookEveryMs = 500

/**
 * The body of a request while it comes in, with its fingerprint. It reads no faster than it is read, and time in which
 * this side holds it up does not count as a stall. The request's own stream always stays open, because an answer is
 * still to be sent on its connection.
 *
 * Reading throws ProxyError `client_left` and `request_timeout`.
 */
export class Upload extends Readable {
  readonly #req: IncomingMessage
  readonly #hash = createHash('sha256')
  readonly #limits: Required<UploadLimits>
  readonly #timer: NodeJS.Timeout
  readonly #startedMs = performance.now()
  #bytes = 0
  #isWanted = false
  #waitedMs = 0
  #silentMs = 0

  /** @param subject what else belongs to the fingerprint */
  constructor(req: IncomingMessage, subject: string, limits: UploadLimits = {}) {
    super()
    this.#req = req
    this.#limits = { stallMs: 30_000, minBytesPerSecond: 100, maxMs: 3_600_000, ...limits }
    this.#hash.update(`${subject}\n`)
    req.on('data', this.#take).on('end', this.#finish).on('close', this.#lose)
    // `close` follows; without a listener Node would throw.
    req.on('error', () => {})
    req.pause()
    // The reader handles the error, also later. Without a listener Node would throw until then.
    this.on('error', () => {})
    this.#timer = setInterval(() => this.#look(), lookEveryMs).unref()
  }

  /** Reads the rest of the body first. Call it once. */
  async fingerprint(): Promise<string> {
    if (!this.readableEnded) await finished(this.resume(), { writable: false })
    return this.#hash.digest('base64url')
  }

  override _read(): void {
    this.#isWanted = true
    this.#req.resume()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearInterval(this.#timer)
    this.#req.off('data', this.#take).off('end', this.#finish).off('close', this.#lose)
    done(error)
  }

  readonly #take = (piece: Buffer): void => {
    this.#bytes += piece.length
    this.#silentMs = 0
    this.#hash.update(piece)
    if (this.push(piece)) return
    this.#isWanted = false
    this.#req.pause()
  }

  readonly #finish = (): void => {
    this.#isWanted = false
    this.push(null)
  }

  readonly #lose = (): void => {
    if (!this.#req.readableEnded) this.destroy(new ProxyError('client_left'))
  }

  #look(): void {
    const { stallMs, minBytesPerSecond, maxMs } = this.#limits
    if (performance.now() - this.#startedMs > maxMs) {
      this.#giveUp(
        `The body has not come in within ${Math.ceil(maxMs / 1000)} s (BULK_UPLOAD_TIMEOUT_SECONDS); send it in parts`,
      )
    }
    if (!this.#isWanted) return
    this.#silentMs += lookEveryMs
    this.#waitedMs += lookEveryMs
    const maxWaitedMs = stallMs + (this.#bytes / minBytesPerSecond) * 1000
    if (this.#silentMs <= stallMs && this.#waitedMs <= maxWaitedMs) return
    this.#giveUp('The rest of the body did not arrive in time')
  }

  #giveUp(message: string): void {
    this.destroy(new ProxyError('request_timeout', { message }))
  }
}
