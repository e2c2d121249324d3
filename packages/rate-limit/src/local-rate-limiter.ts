import { forgetOldest } from '@ipfleet/core/forget-oldest.ts'
import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'
import type { Policy } from './policy.ts'
import { charging, checking, type Decision, type PromptRateLimiter, type Spending, taking } from './rate-limiter.ts'
import { spendFromWindow, type WindowCounts } from './sliding-window.ts'
import { type BucketLevel, spendFromBucket } from './token-bucket.ts'

export interface LocalRateLimiterOptions {
  readonly clock?: Clock
  /** Subjects that are remembered; beyond it those are forgotten that have not been seen for longest. */
  readonly maxSubjects?: number
}

/** Counts for one process: all there is without Redis. */
export class LocalRateLimiter implements PromptRateLimiter {
  readonly #clock: Clock
  readonly #maxSubjects: number
  /** In the order of their last use, so that the first is the one to forget. */
  readonly #windows = new Map<string, WindowCounts>()
  readonly #buckets = new Map<string, BucketLevel>()

  constructor({ clock = monotonicClock, maxSubjects = 100_000 }: LocalRateLimiterOptions = {}) {
    this.#clock = clock
    this.#maxSubjects = maxSubjects
  }

  takeNow(subject: string, policy: Policy, cost = 1): Decision {
    return this.spend(subject, policy, taking(cost))
  }

  async take(subject: string, policy: Policy, cost = 1): Promise<Decision> {
    return this.spend(subject, policy, taking(cost))
  }

  async check(subject: string, policy: Policy): Promise<Decision> {
    return this.spend(subject, policy, checking)
  }

  async charge(subject: string, policy: Policy, cost: number): Promise<Decision> {
    return this.spend(subject, policy, charging(cost))
  }

  async close(): Promise<void> {}

  spend(subject: string, policy: Policy, spending: Spending): Decision {
    const nowMs = this.#clock.nowMs()
    if (policy.kind === 'sliding-window') {
      const { counts, decision } = spendFromWindow(this.#windows.get(subject), policy, nowMs, spending)
      this.#keep(this.#windows, subject, counts)
      return decision
    }
    const { level, decision } = spendFromBucket(this.#buckets.get(subject), policy, nowMs, spending)
    this.#keep(this.#buckets, subject, level)
    return decision
  }

  #keep<State>(states: Map<string, State>, subject: string, state: State): void {
    states.delete(subject)
    states.set(subject, state)
    forgetOldest(states, this.#maxSubjects)
  }
}
