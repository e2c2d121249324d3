import { pipeline, type Readable } from 'node:stream'
import { errorCode } from '@ipfleet/core/error-code.ts'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { codingNamed, codingShown, maxMagicLength, type ContentCoding, type ShownCoding } from './content-coding.ts'
import { peek } from './peek.ts'

export interface BodyLimits {
  /** Bytes without the coding. */
  readonly maxBytes: number
  /** Bytes without the coding for each that has come in. Bodies up to `freeBytes` may have any ratio. */
  readonly maxRatio: number
  /** Called with the memory that inflating takes. What it throws, reading throws. */
  readonly onWindow?: (bytes: number) => void
  /** Beside those that HTTP has. */
  readonly codings?: readonly ShownCoding[]
}

/** Some hundred thousand addresses, which may be the same one throughout. */
const freeBytes = 4 * 1024 * 1024

/** Whether what was packed in `packedBytes` has become more than is taken for a list. */
export const inflatesOver = (maxRatio: number, packedBytes: number, bytes: number): boolean =>
  bytes > freeBytes && bytes > packedBytes * maxRatio

/**
 * A request's body without its content coding, to be read once. Nothing is read ahead of the reader. A reader that stops
 * early leaves the request's stream open, because an answer is still to be sent on its connection.
 *
 * Reading throws ProxyError `bad_request` (a compressed body is broken or cut short), `payload_too_large` (as soon as it
 * is over a limit) and `client_left` (the connection was lost).
 */
export class DecodedBody implements AsyncIterable<Buffer> {
  readonly #body: Readable
  readonly #named: ContentCoding | undefined
  readonly #limits: BodyLimits
  /** As they came, so far. */
  receivedBytes = 0
  /** Without the coding, so far. */
  decodedBytes = 0

  /** @throws ProxyError `unsupported_media_type` */
  constructor(
    body: Readable,
    contentEncoding: string | undefined,
    limits: BodyLimits = { maxBytes: Infinity, maxRatio: Infinity },
  ) {
    this.#body = body
    this.#limits = limits
    this.#named = codingNamed(contentEncoding)
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    const { head, all } = await peek(this.#receivedPieces(), ({ length }) => length >= maxMagicLength)
    const coding = this.#named ?? codingShown(head, this.#limits.codings)
    // Without any bytes it is an empty body whatever its coding.
    const pieces = coding === undefined || head.length === 0 ? all : this.#inflated(all, coding, head)
    for await (const piece of pieces) {
      this.decodedBytes += piece.length
      this.#requireWithinLimits()
      yield piece
    }
  }

  #requireWithinLimits(): void {
    const { maxBytes, maxRatio } = this.#limits
    if (this.decodedBytes > maxBytes) {
      throw tooLarge(`has more than ${maxBytes} bytes (BULK_MAX_BODY_BYTES); send the list in parts`)
    }
    if (inflatesOver(maxRatio, this.receivedBytes, this.decodedBytes)) {
      throw tooLarge(`inflates to over ${maxRatio} times its size (BULK_MAX_INFLATION); send the list uncompressed`)
    }
  }

  async *#receivedPieces(): AsyncGenerator<Buffer> {
    try {
      for await (const piece of this.#body.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        this.receivedBytes += piece.length
        yield piece
      }
    } catch (error) {
      throw error instanceof ProxyError ? error : new ProxyError('client_left', { cause: error })
    }
  }

  async *#inflated(pieces: AsyncIterable<Buffer>, coding: ContentCoding, head: Buffer): AsyncGenerator<Buffer> {
    this.#limits.onWindow?.(coding.windowBytes)
    const inflater = coding.inflater(head)
    // The inflater gets an error of the source too, so that the loop meets it.
    pipeline(pieces, inflater, () => undefined)
    try {
      yield* inflater as AsyncIterable<Buffer>
    } catch (cause) {
      if (cause instanceof ProxyError) throw cause
      if (errorCode(cause) === 'ZSTD_error_frameParameter_windowTooLarge') throw windowTooLarge(coding, cause)
      const message = `The ${coding.name} body is broken or cut short: no more than ${this.decodedBytes} bytes could be read of it`
      throw new ProxyError('bad_request', { message, cause })
    }
  }
}

function windowTooLarge({ windowBytes }: ContentCoding, cause: unknown): ProxyError {
  const message = `The zstd body needs a window of over ${windowBytes} bytes: pack it without --long and --ultra, or unpack it first`
  return new ProxyError('bad_request', { message, cause })
}

function tooLarge(why: string): ProxyError {
  return new ProxyError('payload_too_large', { message: `The body ${why}` })
}
