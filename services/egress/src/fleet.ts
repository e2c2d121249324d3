import { LocalRateLimiter } from '@ipfleet/rate-limit/local-rate-limiter.ts'
import { RedisCounter } from '@ipfleet/rate-limit/redis-counter.ts'
import { SharedRateLimiter } from '@ipfleet/rate-limit/shared-rate-limiter.ts'
import { FleetSize } from '@ipfleet/rate-limit/fleet-size.ts'
import type { PromptRateLimiter } from '@ipfleet/rate-limit/rate-limiter.ts'
import { FleetClock } from '@ipfleet/redis/fleet-clock.ts'
import { logLink } from '@ipfleet/redis/log-link.ts'
import { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { redisAccess } from '@ipfleet/redis/redis-settings.ts'
import { Subscriber } from '@ipfleet/redis/subscriber.ts'
import type { Logger } from '@ipfleet/telemetry/logger.ts'
import { redisNeeds } from './redis-needs.ts'
import type { EgressSettings } from './settings.ts'

/** What the replicas share through Redis. Without Redis, this process has its own. */
export interface Fleet {
  readonly clock: FleetClock
  readonly limiter: PromptRateLimiter
  /** Undefined without REDIS_URL. */
  readonly redis: { readonly link: RedisLink; readonly subscriber: Subscriber } | undefined
  /** To be called after everything that uses it is closed. */
  close(): Promise<void>
}

export function createFleet(settings: EgressSettings, logger: Logger): Fleet {
  const { REDIS_TIMEOUT_MS: timeoutMs, REDIS_PREFIX: prefix } = settings
  const access = redisAccess(settings, 'REDIS')
  const clock = new FleetClock()
  if (access === undefined) {
    return { clock, limiter: new LocalRateLimiter(), redis: undefined, close: async () => clock.close() }
  }
  const link = new RedisLink({ ...access, name: 'egress', timeoutMs, prefix, needs: redisNeeds })
  logLink(link, logger, 'turns, health and limits are this proxy’s own until it is back')
  const subscriber = new Subscriber(access, timeoutMs)
  subscriber.onRefused((error) => link.refused(error))
  const size = new FleetSize(link, { name: 'egress' })
  clock.follow(link)
  return {
    clock,
    limiter: new SharedRateLimiter(new RedisCounter(link, 'egress'), {
      members: () => size.count,
      budgetMs: timeoutMs,
    }),
    redis: { link, subscriber },
    close: async () => {
      await size.close()
      clock.close()
      subscriber.close()
      link.close()
    },
  }
}
