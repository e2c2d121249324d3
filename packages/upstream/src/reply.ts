import type { ErrorCode } from '@ipfleet/errors/proxy-error.ts'
import type { SharedLifetime } from './shared-lifetime.ts'

export interface UpstreamAnswer extends SharedLifetime {
  readonly status: number
  readonly contentType: string
  readonly body: Buffer
}

/** What a reply's rate-limit fields say of the key's quota, in units (a question each, a batch's items each). */
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
  /** 429: this key is over its limit. */
  | { readonly kind: 'limited'; readonly retryAfterSeconds: number | undefined }
  /** 401, 403: the key is not accepted, or may not ask this. `unknownToken`: upstream says which. */
  | { readonly kind: 'denied'; readonly answer: UpstreamAnswer; readonly unknownToken: boolean }
  /** No usable answer. Not the key's fault. */
  | { readonly kind: 'failed'; readonly code: FailureCode; readonly status?: number; readonly detail: string }

export type FailureCode = Extract<ErrorCode, `upstream_${string}`>
