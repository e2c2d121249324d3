import type { LoadPurpose } from '@ipfleet/cache/finding.ts'
import type { Outcome } from '@ipfleet/cache/outcome.ts'
import type { UpstreamAnswer } from '@ipfleet/upstream/reply.ts'
import type { UpstreamRequest } from '@ipfleet/upstream/upstream-request.ts'
import type { HeldLimit } from './upstream-tries.ts'

export interface Upstream {
  /** Whether the record is better asked of any key than of the richest, where only a part that all have is wanted. */
  prefersPartial?(request: UpstreamRequest): boolean
  /** Never throws: what goes wrong is an outcome too. @param deadlineMs monotonic, over all keys */
  load(request: UpstreamRequest, deadlineMs: number, options?: LoadOptions): Promise<Outcome>
}

export interface LoadOptions {
  /** Requests of the key's quota that it costs. Default 1. */
  readonly units?: number
  /** What an answer says of the key inside: that its quota ended in the middle, or that it may not ask this. */
  readonly verdictInside?: (answer: UpstreamAnswer) => VerdictInside | undefined
  /**
   * What keys could not pay for of a batch, which is asked again: verdicts about those keys once another request of the
   * batch is answered, and about the items if none is. The requests of a batch share the list, which is kept here.
   */
  readonly heldLimits?: HeldLimit[]
  /** Whether an answer that looks well from outside does so inside, where only the caller can tell. */
  readonly makesSense?: (answer: UpstreamAnswer) => boolean
  /** No client waits for a refresh: it leaves every key the last of its quota. */
  readonly purpose?: LoadPurpose
  /** Of each key's limit, from 0 to 1: left to others. Default 0. */
  readonly reserveShare?: number
  /** Only what every plan's record holds is wanted of it: any key will do. */
  readonly isPartial?: boolean
}

/** Of items of a batch: the key is over its limit for them, its quota is gone, or all of them were refused. */
export type VerdictInside =
  | { readonly kind: 'limited'; readonly reason: 'limited' | 'exhausted'; readonly areAll: boolean }
  /** `answer`: to the first item, as if it had been asked alone. */
  | { readonly kind: 'denied'; readonly answer: UpstreamAnswer }
