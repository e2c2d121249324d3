import { errorCode } from '@ipfleet/core/error-code.ts'

/**
 * Why an exchange failed, by what is known of the request's fate:
 *
 * - `unreachable`: no connection came about, so nothing was sent. `busy`: none was free, so nothing was sent.
 * - `lost`: the connection ended before any byte of an answer; the server may or may not have acted on the request.
 * - `silent`: no answer within its time. `cut`: something came, and then the connection ended before the answer did.
 * - `stalled`: the answer stopped in the middle, or the server stopped taking the request.
 * - `garbled`: what came is not HTTP, could be read in two ways, or could not be passed on; or what was written is not
 *   the body that the request announced.
 */
export type UpstreamFaultKind = 'unreachable' | 'busy' | 'lost' | 'silent' | 'cut' | 'stalled' | 'garbled'

/** What was used up when none was free: all connections and waiting slots, or those that one client may have. */
export type BusyLimit = 'connections' | 'client_share'

export class UpstreamFault extends Error {
  override readonly name = 'UpstreamFault'
  readonly kind: UpstreamFaultKind
  /** Of `busy`. */
  readonly limit: BusyLimit | undefined

  constructor(kind: UpstreamFaultKind, message: string, cause?: unknown, limit?: BusyLimit) {
    super(message, cause === undefined ? undefined : { cause })
    this.kind = kind
    this.limit = limit
  }

  /** For people: the code of what caused it (`ECONNREFUSED`), or else the message. */
  get reason(): string {
    return errorCode(this.cause) ?? this.message
  }

  /** Whether the server cannot have seen the request. */
  get unsent(): boolean {
    return this.kind === 'unreachable' || this.kind === 'busy'
  }
}
