/**
 * At most `limit` in any `windowMs`, give or take what the weighting of the window before misjudges: two counters and
 * a weight stand for a log of every request, so a subject costs the same however much it asks.
 */
export interface SlidingWindow {
  readonly kind: 'sliding-window'
  /** Whole, at least 1. */
  readonly limit: number
  readonly windowMs: number
}

/** `burst` at once, and from then on as much as flows in. */
export interface TokenBucket {
  readonly kind: 'token-bucket'
  /** At least 1. */
  readonly burst: number
  /** May be a fraction; more than 0. */
  readonly refillPerSecond: number
}

export type Policy = SlidingWindow | TokenBucket

/** What a subject has in all. */
export function limitOf(policy: Policy): number {
  return policy.kind === 'sliding-window' ? policy.limit : policy.burst
}

/** The part of a policy that one of `members` keeps to on its own, never less than one request. */
export function shareOf(policy: Policy, members: number): Policy {
  const parts = Math.max(1, members)
  switch (policy.kind) {
    case 'sliding-window':
      return { ...policy, limit: Math.max(1, Math.floor(policy.limit / parts)) }
    case 'token-bucket': {
      const { burst, refillPerSecond } = policy
      return { ...policy, burst: Math.max(1, Math.floor(burst / parts)), refillPerSecond: refillPerSecond / parts }
    }
  }
}
