import type { IncomingHttpHeaders } from 'node:http'
import type { Cancellation } from './cancellation.ts'
import type { FailureCode } from './reply.ts'

export interface OutgoingRequest {
  readonly method: 'GET' | 'POST'
  readonly url: URL
  /** The key among them. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer | undefined
}

export interface IncomingAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** Without content coding. */
  readonly body: Buffer
}

/** A way to upstream, over connections that are kept. */
export interface Transport {
  /**
   * Sends a request once. Redirects are not followed.
   * @param isFresh not over a connection that lay idle
   * @throws TransportError; anything once it is cancelled
   */
  send(request: OutgoingRequest, cancellation: Cancellation, isFresh: boolean): Promise<IncomingAnswer>
  /** Ends idle connections. Requests under way end by being cancelled. */
  close(): void
}

/** Why there is no answer. Holds neither URL nor header fields, the key among them. */
export class TransportError extends Error {
  override readonly name = 'TransportError'
  readonly code: FailureCode
  /**
   * The request went over a connection that had lain idle, which upstream was closing at that moment, and no byte of an
   * answer has come. It was not read, as a rule, and may be sent again if it is idempotent (RFC 9112 §9.3.1).
   */
  readonly isStale: boolean

  constructor(code: FailureCode, detail: string, { isStale = false } = {}) {
    super(detail)
    this.code = code
    this.isStale = isStale
  }
}

export function bodyTooLarge(maxBodyBytes: number): TransportError {
  return new TransportError('upstream_invalid', `body over ${maxBodyBytes} bytes`)
}

/** Codes of zlib (gzip and deflate, zstd, brotli) and of Node's HTTP parser: what came cannot be read. */
const nonsense = /^(Z_|ZSTD_|ERR__|HPE_)/

/** The failure that a code of Node stands for. Messages are not used: they may hold anything. */
export function failureWithCode(code: string, options?: { readonly isStale: boolean }): TransportError {
  return new TransportError(nonsense.test(code) ? 'upstream_invalid' : 'upstream_unreachable', code, options)
}
