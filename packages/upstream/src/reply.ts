import type { ErrorCode } from '@ipfleet/core/proxy-error.ts'
import type { SharedLifetime } from './shared-lifetime.ts'

export interface UpstreamAnswer extends SharedLifetime {
  readonly status: number
  readonly contentType: string
  readonly body: Buffer
  /** Of a redirect that the client follows by itself. */
  readonly location?: string
}

/** What a reply's rate-limit fields say of the key's quota, in units (one for a query, one for each item of a batch). */
export interface ReplyQuota {
  readonly remaining: number
  readonly limit?: number
  readonly resetSeconds?: number
}

/** What upstream's reply means for us. Everything that can come back is one of these; `ask` never throws. */
export type Reply = ReplyKind & { readonly quota?: ReplyQuota }

type ReplyKind =
  /** An answer for the client: what was asked for, or that it does not exist or makes no sense (400, 404, …). */
  | { readonly kind: 'answered'; readonly answer: UpstreamAnswer }
  /** 429, 402: this key is over its limit, or its quota is gone (`exhausted`): for the product, or as a whole. */
  | {
      readonly kind: 'limited'
      readonly scope: 'product' | 'key'
      readonly reason: 'limited' | 'exhausted'
      readonly status: number
      readonly retryAfterSeconds: number | undefined
    }
  /**
   * 401, 403, 400: refused. `query`: with any key; `product`: this key may not ask this; `key`: it is not accepted at
   * all; `unclear`: one of these, and the key's account tells which.
   */
  | {
      readonly kind: 'denied'
      readonly scope: 'query' | 'product' | 'key' | 'unclear'
      readonly answer: UpstreamAnswer
    }
  /** No usable answer. Not the key's fault. `again`: once more on a new connection, or with the next key. */
  | {
      readonly kind: 'failed'
      readonly code: FailureCode
      readonly status?: number
      readonly detail: string
      /** Of a status from 500 on, where it tells. */
      readonly retryAfterSeconds?: number
      readonly again?: 'connection' | 'key'
    }

export type FailureCode = Extract<ErrorCode, `upstream_${string}`>
