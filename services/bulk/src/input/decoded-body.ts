import { pipeline, type Readable } from 'node:stream'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { codingNamed, codingShown, maxMagicLength, type ContentCoding } from './content-coding.ts'
import { peek } from './peek.ts'

/** What a body may become. */
export interface BodyLimits {
  /** Bytes without the coding. */
  readonly maxBytes: number
  /** Bytes without the coding for each that has come in. Bodies up to `freeBytes` may have any ratio. */
  readonly maxRatio: number
  /** Told what inflating is going to take. What it throws, reading throws. */
  readonly onWindow?: (bytes: number) => void
}

/** Some hundred thousand addresses, which may well be the same one over and over. */
const freeBytes = 4 * 1024 * 1024

const unlimited: BodyLimits = { maxBytes: Infinity, maxRatio: Infinity }

/**
 * A request's body without its content coding, to be read once, piece by piece; nothing is read ahead of who reads it.
 * Whoever stops early leaves the request's stream open: there is an answer to send on its connection.
 *
 * Reading throws ProxyError `bad_request` (what is compressed is broken or cut short), `payload_too_large` (as soon as
 * it is over a limit) and `client_left` (the body ended before its end).
 */
export class DecodedBody implements AsyncIterable<Buffer> {
  readonly #body: Readable
  readonly #named: ContentCoding | undefined
  readonly #limits: BodyLimits
  #receivedBytes = 0
  #decodedBytes = 0

  /** @throws ProxyError `unsupported_media_type` */
  constructor(body: Readable, contentEncoding: string | undefined, limits = unlimited) {
    this.#body = body
    this.#limits = limits
    this.#named = codingNamed(contentEncoding)
  }

  /** As they came, so far. */
  get receivedBytes(): number {
    return this.#receivedBytes
  }

  /** Without the coding, so far. */
  get decodedBytes(): number {
    return this.#decodedBytes
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    const { head, all } = await peek(this.#received(), ({ length }) => length >= maxMagicLength)
    const coding = this.#named ?? codingShown(head)
    // Nothing at all is an empty body whatever its coding.
    const decoded = coding === undefined || head.length === 0 ? all : this.#inflated(all, coding, head)
    for await (const piece of decoded) {
      this.#decodedBytes += piece.length
      this.#requireWithinLimits()
      yield piece
    }
  }

  #requireWithinLimits(): void {
    const { maxBytes, maxRatio } = this.#limits
    const decoded = this.#decodedBytes
    if (decoded > maxBytes) {
      throw tooLarge(`has more than ${maxBytes} bytes (BULK_MAX_BODY_BYTES); send the list in parts`)
    }
    if (decoded > freeBytes && decoded > this.#receivedBytes * maxRatio) {
      throw tooLarge(`inflates to over ${maxRatio} times its size (BULK_MAX_INFLATION); send the list uncompressed`)
    }
  }

  async *#received(): AsyncGenerator<Buffer> {
    try {
      for await (const piece of this.#body.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        this.#receivedBytes += piece.length
        yield piece
      }
    } catch (error) {
      throw error instanceof ProxyError ? error : new ProxyError('client_left', { cause: error })
    }
  }

  async *#inflated(pieces: AsyncIterable<Buffer>, coding: ContentCoding, head: Buffer): AsyncGenerator<Buffer> {
    this.#limits.onWindow?.(coding.windowBytes)
    const inflater = coding.inflater(head)
    // An error of the source is handed on to the inflater, so that the loop meets it too.
    pipeline(pieces, inflater, () => undefined)
    try {
      yield* inflater as AsyncIterable<Buffer>
    } catch (error) {
      throw error instanceof ProxyError ? error : this.#broken(coding, error)
    }
  }

  #broken({ name }: ContentCoding, cause: unknown): ProxyError {
    return new ProxyError('bad_request', {
      message: `The ${name} body is broken or cut short: no more than ${this.#decodedBytes} bytes could be read of it`,
      cause,
    })
  }
}

function tooLarge(why: string): ProxyError {
  return new ProxyError('payload_too_large', { message: `The body ${why}` })
}
