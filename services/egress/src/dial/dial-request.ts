import type { OnReadOpts, Socket } from 'node:net'
import type { Session, Source, SourceChoice } from '../sources/source-pool.ts'
import type { Target, TargetAddress } from '@ipfleet/net/target.ts'

/** Tells a dial that its client has left. The used part of AbortSignal, which costs more to make than the rest of a dial. */
export interface ClientSignal {
  readonly aborted: boolean
  addEventListener(type: 'abort', listener: () => void): void
  removeEventListener(type: 'abort', listener: () => void): void
}

export interface DialRequest {
  readonly target: Target
  /** Checked by the policy, in the order to try. */
  readonly addresses: readonly TargetAddress[]
  readonly session: Session | undefined
  /** The only source that will do: an address, or the label of a parent. */
  readonly chosen?: string | undefined
  /** Aborted when the client leaves. */
  readonly signal: ClientSignal
  /** Reads the connection into a shared buffer instead of a stream. */
  readonly onread?: OnReadOpts | undefined
}

export type Dialled =
  | {
      readonly kind: 'connected'
      /** Half-open allowed, no delay; the caller owns it, and listens to it in the same turn of the event loop. */
      readonly socket: Socket
      readonly source: Source
      /** The address that was reached. */
      readonly address: string
      readonly durationMs: number
    }
  | { readonly kind: 'no_source'; readonly retryAfterSeconds: number }
  | Exclude<SourceChoice, { kind: 'source' | 'all_out' }>
  /** No source is to blame. `code` is the system's: ECONNREFUSED, ETIMEDOUT, ENETUNREACH… */
  | { readonly kind: 'failed'; readonly code: string; readonly source: Source | undefined }
  /** This process or machine lacks descriptors or memory; see `connectFailure`. `code` is the system's. */
  | { readonly kind: 'own_lack'; readonly code: string }
  | { readonly kind: 'aborted' }
