import type { Policy } from './policy.ts'

/** What is left to a subject. */
export interface Standing {
  readonly limit: number
  /** Whole, never below 0. */
  readonly remaining: number
  /** Until the window turns, or the bucket is full. */
  readonly resetMs: number
  /** It is what is left of this process's share: others who count together have their own. */
  readonly isShare?: true
}

export type Decision =
  | ({ readonly kind: 'allowed' } & Standing)
  /** Nothing was taken. The same may be allowed after `retryAfterMs`, if no other takes it first. */
  | ({ readonly kind: 'limited'; readonly retryAfterMs: number } & Standing)

/**
 * Counts what subjects take. A subject is the caller's name for what is counted (a hash where it is a secret);
 * its policy comes with each call, since subjects differ, and must stay the same for a subject.
 */
export interface RateLimiter {
  /** Takes `cost` (default 1) if that much is left, else nothing. */
  take(subject: string, policy: Policy, cost?: number): Promise<Decision>
  /** Whether anything is left. Takes nothing. */
  check(subject: string, policy: Policy): Promise<Decision>
  /** Counts what has been spent already, beyond the limit if it must be. Always `allowed`. */
  charge(subject: string, policy: Policy, cost: number): Promise<Decision>
}

/** Answers from memory where it can, for paths that must not wait. */
export interface PromptRateLimiter extends RateLimiter {
  /** As `take`. Undefined when only others know: then nothing was taken. */
  takeNow(subject: string, policy: Policy, cost?: number): Decision | undefined
  /** Reports what others do not know yet, and ends. */
  close(): Promise<void>
}

/** What one call asks of a counter: spend `cost` if there are `need` left; `anyway`: whatever is left. */
export interface Spending {
  readonly cost: number
  readonly need: number | 'anyway'
}

export const taking = (cost: number): Spending => ({ cost, need: cost })
export const checking: Spending = { cost: 0, need: 1 }
export const charging = (cost: number): Spending => ({ cost, need: 'anyway' })
