import { limitOf, type Policy, type SlidingWindow } from './policy.ts'
import type { Standing } from './rate-limiter.ts'

/**
 * Members of the `RateLimit-Policy` and `RateLimit` fields (draft-ietf-httpapi-ratelimit-headers-10), which are
 * structured lists: `q` the quota, `w` its window, `r` what is left, `t` the time until it resets, in seconds.
 */
export function policyMember(name: string, policy: Policy): string {
  return `"${name}";q=${limitOf(policy)};w=${windowSeconds(policy)}`
}

/** What a budget counts; its name in the fields. */
export type BudgetName = 'requests' | 'units'

/** The `RateLimit-Policy` field of a client; empty without budgets. */
export function policyField(budgets: { readonly [Name in BudgetName]?: SlidingWindow | undefined }): string {
  return (['requests', 'units'] as const)
    .flatMap((name) => {
      const budget = budgets[name]
      return budget ? [policyMember(name, budget)] : []
    })
    .join(', ')
}

export function standingMember(name: string, { remaining, resetMs }: Standing): string {
  return `"${name}";r=${remaining};t=${Math.ceil(resetMs / 1000)}`
}

/** Without this a browser hides the fields from the page that asked. */
export const exposedFields = 'RateLimit, RateLimit-Policy, Retry-After'

/** Of a bucket: the time in which an empty one gets full. */
function windowSeconds(policy: Policy): number {
  return policy.kind === 'sliding-window'
    ? Math.ceil(policy.windowMs / 1000)
    : Math.ceil(policy.burst / policy.refillPerSecond)
}
