import { once } from 'node:events'
import { type ClientParts, clientParts } from '@ipfleet/rate-limit/clients/client-parts.ts'
import { furtherAttempt } from '@ipfleet/http-server/further-attempt.ts'
import { FleetRateLimiter } from '@ipfleet/rate-limit/fleet-rate-limiter.ts'
import { FleetSize } from '@ipfleet/rate-limit/fleet-size.ts'
import { blockingConnection, queueConnection, type Redis } from '@ipfleet/redis/connection.ts'
import { FleetClock } from '@ipfleet/redis/fleet-clock.ts'
import { logLink } from '@ipfleet/redis/log-link.ts'
import { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { Subscriber } from '@ipfleet/redis/subscriber.ts'
import type { Logger } from '@ipfleet/telemetry/logger.ts'
import { redisNeeds } from './redis-needs.ts'
import type { BulkSettings } from './settings.ts'
import { within } from '@ipfleet/core/within.ts'

/** What the processes of the service share. */
export interface FleetParts {
  readonly clock: FleetClock
  readonly link: RedisLink
  readonly subscriber: Subscriber
  /** BullMQ wants its own: one to add with, one that blocks. */
  readonly queueConnection: Redis
  readonly workerConnection: Redis
  /** Of the rate of look-ups. */
  readonly limiter: FleetRateLimiter
  readonly clients: ClientParts | undefined
  /** Resolves when Redis is there, or after a second without it: jobs are refused until it is. */
  joined(): Promise<void>
  /** After everything that uses it. */
  close(): Promise<void>
}

const maxJoinMs = 1000

export function fleetParts(settings: BulkSettings, logger: Logger): FleetParts {
  const { REDIS_URL: url, REDIS_TIMEOUT_MS: timeoutMs, REDIS_PREFIX: prefix, CLIENT_TOKENS: tokens } = settings
  const clock = new FleetClock()
  const link = new RedisLink({ url, name: 'bulk', timeoutMs, prefix, needs: redisNeeds })
  logLink(link, logger, 'jobs go on when it is back')
  clock.follow(link)
  const subscriber = new Subscriber(url, timeoutMs)
  subscriber.onRefused((error) => link.refused(error))
  const size = new FleetSize(link, { name: 'bulk' })
  const limiter = new FleetRateLimiter(link, { scope: 'bulk', members: () => size.count })
  const clients = clientParts({
    tokens,
    link,
    service: 'bulk',
    isCounted: furtherAttempt({ trusted: settings.TRUST_PROXY }),
  })
  const forQueue = queueConnection(url, 'bulk-queue')
  const forWorker = blockingConnection(url, 'bulk-worker')
  return {
    clock,
    link,
    subscriber,
    queueConnection: forQueue,
    workerConnection: forWorker,
    limiter,
    clients,
    joined: async () => {
      if (!link.up) await within(maxJoinMs, once(link, 'up'))
    },
    close: async () => {
      await clients?.close()
      await limiter.close()
      await size.close()
      forWorker.disconnect()
      forQueue.disconnect()
      clock.close()
      subscriber.close()
      link.close()
    },
  }
}
