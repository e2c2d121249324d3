import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { RedisUnavailable } from '@ipfleet/redis/redis-unavailable.ts'
import type { Ledger, Receipt, Unanswered } from './ledger.ts'
import type { Policy } from './policy.ts'
import type { Decision, Spending } from './rate-limiter.ts'
import { RedisRateLimiter } from './redis-rate-limiter.ts'

/** The fleet's Redis, whose silence is an answer too. */
export class RedisLedger implements Ledger {
  readonly #link: RedisLink
  readonly #counts: RedisRateLimiter

  /** `scope`: what is limited, to keep one service's subjects apart from another's. */
  constructor(link: RedisLink, { scope }: { readonly scope: string }) {
    this.#link = link
    this.#counts = new RedisRateLimiter(link, { scope })
  }

  get up(): boolean {
    return this.#link.up
  }

  onUp(listener: () => void): () => void {
    this.#link.on('up', listener)
    return () => void this.#link.off('up', listener)
  }

  async spend(subject: string, policy: Policy, spending: Spending, receipt?: Receipt): Promise<Decision | Unanswered> {
    try {
      return await this.#counts.spend(subject, policy, spending, receipt)
    } catch (error) {
      if (!(error instanceof RedisUnavailable)) throw error
      return { kind: 'unanswered', mayBeCounted: error.reason === 'timeout' }
    }
  }
}
