import type { SlidingWindow } from '../policy.ts'
import { policyMember } from '../rate-limit-fields.ts'

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
