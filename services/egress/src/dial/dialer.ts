import type { OnReadOpts, Socket } from 'node:net'
import type { Session, Source } from '../sources/source-pool.ts'
import type { Target, TargetAddress } from '@ipfleet/net/target.ts'

/** What a dial must know of its client: as much of an AbortSignal, which costs more to make than all the rest of it. */
export interface ClientSignal {
  readonly aborted: boolean
  addEventListener(type: 'abort', listener: () => void): void
  removeEventListener(type: 'abort', listener: () => void): void
}

export interface DialRequest {
  readonly target: Target
  /** As the policy gave them: checked, in the order to try. */
  readonly addresses: readonly TargetAddress[]
  readonly session: Session | undefined
  /** Aborted when the client leaves. */
  readonly signal: ClientSignal
  /** How the connection is read, when not as a stream. */
  readonly onread?: OnReadOpts | undefined
}

export type Dialled =
  | {
      readonly kind: 'connected'
      /** Half-open allowed, no delay; the caller's from here on. */
      readonly socket: Socket
      readonly source: Source
      /** The address that was reached. */
      readonly address: string
      readonly durationMs: number
    }
  | { readonly kind: 'no_source'; readonly retryAfterSeconds: number }
  /** The pool has no address of a family that the target has. */
  | { readonly kind: 'no_family' }
  | { readonly kind: 'session_lost' }
  /** The target's fault, or nobody's. `code` is the system's: ECONNREFUSED, ETIMEDOUT, ENETUNREACH… */
  | { readonly kind: 'failed'; readonly code: string; readonly source: Source | undefined }
  | { readonly kind: 'aborted' }

/** Makes connections that leave from the pool's addresses. Never rejects. */
export interface Dialer {
  dial(request: DialRequest): Promise<Dialled>
}
