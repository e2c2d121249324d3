import { FleetRateLimiter } from '../fleet-rate-limiter.ts'
import { FleetSize } from '../fleet-size.ts'
import { LocalRateLimiter } from '../local-rate-limiter.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import type { Metrics } from '@ipfleet/telemetry/metrics.ts'
import { type BudgetLimiters, ClientGuard, type IsCounted } from './client-guard.ts'
import type { ClientToken } from './client-tokens.ts'

export interface ClientPartsOptions {
  readonly tokens: readonly ClientToken[]
  /** Where the fleet counts; without it this process does for itself. */
  readonly link: RedisLink | undefined
  /** Whose processes share a budget while Redis is away: `lookup`. */
  readonly service: string
  /** Default: none is. */
  readonly isCounted?: IsCounted
}

/** The clients of the fleet and their budgets. */
export interface ClientParts {
  readonly guard: ClientGuard
  /** Reports what was counted here. While Redis is still there. */
  close(): Promise<void>
}

/**
 * Of what is left of a budget a replica lets a sixteenth through before it tells the fleet, for a second at most; so
 * up to sixteen replicas together stay within what they know to be left. With less than 16 left each request is asked
 * for.
 */
const aheadPart = 1 / 16

/** Undefined without CLIENT_TOKENS: then everyone may ask, and nobody is looked at. */
export function clientParts({
  tokens,
  link,
  service,
  isCounted = () => false,
}: ClientPartsOptions): ClientParts | undefined {
  if (tokens.length === 0) return undefined
  if (!link) {
    const guard = new ClientGuard(
      tokens,
      { requests: new LocalRateLimiter(), units: new LocalRateLimiter() },
      isCounted,
    )
    return { guard, close: () => guard.close() }
  }
  const size = new FleetSize(link, { name: service })
  const guard = new ClientGuard(tokens, fleetLimiters(link, size), isCounted)
  return {
    guard,
    close: async () => {
      await guard.close()
      await size.close()
    },
  }
}

function fleetLimiters(link: RedisLink, size: FleetSize): BudgetLimiters {
  const limiter = (scope: string) => new FleetRateLimiter(link, { scope, members: () => size.count, aheadPart })
  return { requests: limiter('client-requests'), units: limiter('client-units') }
}

/** By verdict only: clients are not a closed set of labels. */
export function registerClientMetrics(metrics: Metrics, { counts }: ClientGuard): void {
  metrics.counter({
    name: 'ipfleet_client_requests_total',
    help: 'Requests by what CLIENT_TOKENS say to them.',
    labelNames: ['verdict'],
    collect() {
      this.reset()
      for (const [verdict, count] of Object.entries(counts)) this.inc({ verdict }, count)
    },
  })
}
