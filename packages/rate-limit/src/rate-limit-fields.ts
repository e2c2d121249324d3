import { limitOf, type Policy } from './policy.ts'
import type { Standing } from './rate-limiter.ts'

/**
 * Members of the `RateLimit-Policy` and `RateLimit` fields (draft-ietf-httpapi-ratelimit-headers-10), which are
 * structured lists: `q` the quota, `w` its window, `r` what is left, `t` the time until it resets, in seconds.
 */
export function policyMember(name: string, policy: Policy): string {
  return `"${name}";q=${limitOf(policy)};w=${windowSeconds(policy)}`
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
