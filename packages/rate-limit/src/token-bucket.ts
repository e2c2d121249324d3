import type { TokenBucket } from './policy.ts'
import type { Decision, Spending } from './rate-limiter.ts'

export interface BucketLevel {
  /** Below 0 after a charge that went beyond. */
  readonly tokens: number
  readonly atMs: number
}

/** The token bucket of `take-from-bucket.lua`, for one process. A new bucket is full. */
export function spendFromBucket(
  before: BucketLevel | undefined,
  { burst, refillPerSecond }: TokenBucket,
  nowMs: number,
  { cost, need }: Spending,
): { readonly level: BucketLevel; readonly decision: Decision } {
  const perMs = refillPerSecond / 1000
  const tokens = before ? Math.min(burst, before.tokens + Math.max(0, nowMs - before.atMs) * perMs) : burst
  const standing = (left: number) => ({
    limit: burst,
    remaining: Math.max(0, Math.floor(left)),
    resetMs: Math.ceil((burst - left) / perMs),
  })
  if (need !== 'anyway' && tokens < need) {
    const retryAfterMs = Math.max(1, Math.ceil((need - tokens) / perMs))
    return { level: { tokens, atMs: nowMs }, decision: { kind: 'limited', ...standing(tokens), retryAfterMs } }
  }
  const left = tokens - cost
  return { level: { tokens: left, atMs: nowMs }, decision: { kind: 'allowed', ...standing(left) } }
}
