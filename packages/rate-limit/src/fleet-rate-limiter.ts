import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { LedgerRateLimiter, type LedgerRateLimiterOptions } from './ledger-rate-limiter.ts'
import { RedisLedger } from './redis-ledger.ts'

export interface FleetRateLimiterOptions extends LedgerRateLimiterOptions {
  /** What is limited, to keep one service's subjects apart from another's. */
  readonly scope: string
}

/** Limits for the fleet, whose ledger is Redis. */
export class FleetRateLimiter extends LedgerRateLimiter {
  constructor(link: RedisLink, { scope, ...options }: FleetRateLimiterOptions) {
    super(new RedisLedger(link, { scope }), options)
  }
}
