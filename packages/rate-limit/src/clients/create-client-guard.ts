import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import type { Metrics } from '@ipfleet/telemetry/metrics.ts'
import { scrapedCounter } from '@ipfleet/telemetry/scraped-metrics.ts'
import { FleetSize } from '../fleet-size.ts'
import { LocalRateLimiter } from '../local-rate-limiter.ts'
import { RedisCounter } from '../redis-counter.ts'
import { SharedRateLimiter } from '../shared-rate-limiter.ts'
import { type BudgetLimiters, ClientGuard, type IsCounted } from './client-guard.ts'
import type { ClientToken } from './client-tokens.ts'

export interface ClientGuardOptions {
  readonly tokens: readonly ClientToken[]
  /** Where the fleet counts; without it this process counts for itself. */
  readonly link: RedisLink | undefined
  /** Whose processes share a budget while Redis is away: `lookup`. */
  readonly service: string
  /** Default: none is. */
  readonly isCounted?: IsCounted
}

/**
 * Of what is left of a budget a replica lets a sixteenth through before it tells the fleet, for a second at most; so
 * up to sixteen replicas together stay within what they know to be left. With less than 16 left each request is asked
 * for.
 */
const allowance = 1 / 16

/** The clients of the fleet and their budgets. Undefined without CLIENT_TOKENS: then every client may ask. */
export function createClientGuard({
  tokens,
  link,
  service,
  isCounted = () => false,
}: ClientGuardOptions): ClientGuard | undefined {
  if (tokens.length === 0) return undefined
  return new ClientGuard(tokens, link ? fleetLimiters(link, service) : localLimiters(), isCounted)
}

function localLimiters(): BudgetLimiters {
  return { requests: new LocalRateLimiter(), units: new LocalRateLimiter(), members: () => 1, close: async () => {} }
}

function fleetLimiters(link: RedisLink, service: string): BudgetLimiters {
  const size = new FleetSize(link, { name: service })
  const limiter = (scope: string) =>
    new SharedRateLimiter(new RedisCounter(link, scope), { members: () => size.count, allowance })
  const requests = limiter('client-requests')
  const units = limiter('client-units')
  const close = async (): Promise<void> => {
    await Promise.all([requests.close(), units.close()])
    await size.close()
  }
  return { requests, units, members: () => size.count, close }
}

/** By verdict only: clients are not a closed set of labels. */
export function registerClientMetrics(metrics: Metrics, { counts }: ClientGuard): void {
  const help = 'Requests by what CLIENT_TOKENS say to them.'
  scrapedCounter(metrics, 'ipfleet_client_requests_total', help, () => Object.entries(counts), 'verdict')
}
