import { FleetSize } from '@ipfleet/rate-limit/fleet-size.ts'
import type { PromptRateLimiter } from '@ipfleet/rate-limit/rate-limiter.ts'
import { RedisCounter } from '@ipfleet/rate-limit/redis-counter.ts'
import { SharedRateLimiter } from '@ipfleet/rate-limit/shared-rate-limiter.ts'
import { logLink } from '@ipfleet/redis/log-link.ts'
import { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { redisAccess } from '@ipfleet/redis/redis-settings.ts'
import type { Logger } from '@ipfleet/telemetry/logger.ts'
import type { RateLimitConfig } from '../config/edge-config.ts'
import { redisNeeds } from '../redis-needs.ts'
import type { EdgeSettings } from '../settings.ts'
import type { ServingDeps } from '../workers/serving.ts'
import { ClientLimiter, type LimiterCounts } from './client-limiter.ts'

/** Who counts what clients ask: with Redis all edges together, without it all processes of this one. */
export class LimiterFactory {
  readonly counts: LimiterCounts = { allowed: 0, limited: 0, exempt: 0 }
  /** Undefined without REDIS_URL. */
  readonly link: RedisLink | undefined
  readonly #size: FleetSize | undefined
  readonly #redisTimeoutMs: number
  readonly #servingDeps: ServingDeps
  readonly #logger: Logger

  constructor(settings: EdgeSettings, servingDeps: ServingDeps, logger: Logger) {
    this.#servingDeps = servingDeps
    this.#logger = logger
    const { REDIS_TIMEOUT_MS: timeoutMs, REDIS_PREFIX: prefix } = settings
    this.#redisTimeoutMs = timeoutMs
    const access = redisAccess(settings, 'REDIS')
    if (access === undefined) return
    const link = new RedisLink({ ...access, name: 'edge', timeoutMs, prefix, needs: redisNeeds })
    logLink(link, logger, 'each process keeps to its share of the limits')
    this.link = link
    this.#size = new FleetSize(link, { name: 'edge' })
  }

  limiterFor(config: RateLimitConfig | undefined): ClientLimiter | undefined {
    if (config) this.#warnOfUnknown(config)
    return config && new ClientLimiter(config, this.#counter(config.aheadPercent / 100), this.counts)
  }

  #warnOfUnknown({ keyExtractor: { kind }, known }: RateLimitConfig): void {
    if (kind === 'client_ip' || known.length > 0) return
    const key_extractor = kind
    this.#logger.warn(
      { key_extractor },
      'no value is known ([rate_limit] known, known_file): all count by their address',
    )
  }

  async close(): Promise<void> {
    await this.#size?.close()
    this.link?.close()
  }

  #counter(allowance: number): PromptRateLimiter {
    const { link } = this
    const size = this.#size
    if (link === undefined || size === undefined) return this.#servingDeps.limiter({ allowance })
    const budgetMs = this.#redisTimeoutMs
    return new SharedRateLimiter(new RedisCounter(link, 'edge'), { members: () => size.count, allowance, budgetMs })
  }
}
