import type { Policy } from './policy.ts'
import type { Decision, Spending } from './rate-limiter.ts'

/** Where several processes count together: Redis, or the primary process of one service. */
export interface SharedCounter {
  /** False while it is known not to answer: then it is not asked. */
  readonly up: boolean
  /** Calls `listener` each time that it answers again. Gives a function that ends this. */
  onUp(listener: () => void): () => void
  /** Does not throw when no answer comes. With an idempotency key it counts once, however often it is repeated. */
  spend(subject: string, policy: Policy, spending: Spending, key?: IdempotencyKey): Promise<Decision | Unanswered>
}

/** Nothing was decided. What was to be taken may have been counted all the same. */
export interface Unanswered {
  readonly kind: 'unanswered'
  readonly mayBeCounted: boolean
}

/** Identifies a charge, so that it can be repeated when no answer came: what timed out may have been counted. */
export interface IdempotencyKey {
  readonly sender: string
  /** Rising with each new charge of this sender to this subject; one is under way at a time. */
  readonly sequence: number
}
