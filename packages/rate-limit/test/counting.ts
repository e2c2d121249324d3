import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { charging, checking, type RateLimiter, type Spending, taking } from '../src/rate-limiter.ts'
import type { Policy } from '../src/policy.ts'
import { RedisCounter } from '../src/redis-counter.ts'
import type { IdempotencyKey } from '../src/shared-counter.ts'

/** What the fleet says, asked past any limiter. Rejects when Redis does not answer. */
export function counting(link: RedisLink, scope: string) {
  const counter = new RedisCounter(link, scope)
  const spend = async (subject: string, policy: Policy, spending: Spending, key?: IdempotencyKey) => {
    const answer = await counter.spend(subject, policy, spending, key)
    if (answer.kind === 'unanswered') throw new Error('unanswered')
    return answer
  }
  return {
    take: (subject: string, policy: Policy, cost = 1) => spend(subject, policy, taking(cost)),
    check: (subject: string, policy: Policy) => spend(subject, policy, checking),
    charge: (subject: string, policy: Policy, cost: number, key?: IdempotencyKey) =>
      spend(subject, policy, charging(cost), key),
  } satisfies RateLimiter
}
