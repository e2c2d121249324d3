import type { SlidingWindow } from '@ipfleet/rate-limit/policy.ts'
import type { Standing } from '@ipfleet/rate-limit/rate-limiter.ts'

/** What a budget counts; its name in the fields. */
export type BudgetName = 'requests' | 'units'

/**
 * The `RateLimit-Policy` and `RateLimit` fields (draft-ietf-httpapi-ratelimit-headers-10): structured lists whose
 * members are the budgets, `q` the quota, `w` its window, `r` what is left, `t` the time until it resets, in seconds.
 */
export function policyField(budgets: { readonly [Name in BudgetName]?: SlidingWindow | undefined }): string {
  return (['requests', 'units'] as const)
    .flatMap((name) => {
      const budget = budgets[name]
      return budget ? [`"${name}";q=${budget.limit};w=${Math.ceil(budget.windowMs / 1000)}`] : []
    })
    .join(', ')
}

export function standingField(name: BudgetName, { remaining, resetMs }: Standing): string {
  return `"${name}";r=${remaining};t=${Math.ceil(resetMs / 1000)}`
}

/** Without this a browser hides the fields from the page that asked. */
export const exposedFields = 'RateLimit, RateLimit-Policy, Retry-After'
