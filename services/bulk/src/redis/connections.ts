import { furtherAttempt } from '@ipfleet/http-server/further-attempt.ts'
import { createClientGuard } from '@ipfleet/rate-limit/clients/create-client-guard.ts'
import { FleetSize } from '@ipfleet/rate-limit/fleet-size.ts'
import { RedisCounter } from '@ipfleet/rate-limit/redis-counter.ts'
import { SharedRateLimiter } from '@ipfleet/rate-limit/shared-rate-limiter.ts'
import { blockingConnection, queueConnection } from '@ipfleet/redis/connection.ts'
import { FleetClock } from '@ipfleet/redis/fleet-clock.ts'
import { logLink } from '@ipfleet/redis/log-link.ts'
import { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { redisAccess } from '@ipfleet/redis/redis-settings.ts'
import { Subscriber } from '@ipfleet/redis/subscriber.ts'
import type { Logger } from '@ipfleet/telemetry/logger.ts'
import type { BulkSettings } from '../settings.ts'
import { redisNeeds } from './redis-needs.ts'

export type Connections = ReturnType<typeof connect>

/** What is kept open to Redis, and what the processes of the service share through it. */
export function connect(settings: BulkSettings, logger: Logger) {
  const { REDIS_TIMEOUT_MS: timeoutMs, REDIS_PREFIX: prefix, CLIENT_TOKENS: tokens, TRUST_PROXY: trusted } = settings
  const access = { url: settings.REDIS_URL, ...redisAccess(settings, 'REDIS') }
  const clock = new FleetClock()
  const link = new RedisLink({ ...access, name: 'bulk', timeoutMs, prefix, needs: redisNeeds })
  logLink(link, logger, 'jobs go on when it is back')
  clock.follow(link)
  const subscriber = new Subscriber(access, timeoutMs)
  subscriber.onRefused((error) => link.refused(error))
  const size = new FleetSize(link, { name: 'bulk' })
  const limiter = new SharedRateLimiter(new RedisCounter(link, 'bulk'), { members: () => size.count })
  const clients = createClientGuard({ tokens, link, service: 'bulk', isCounted: furtherAttempt({ trusted }) })
  // BullMQ requires its own connections: one to add with, one that blocks.
  const forQueue = queueConnection(access, 'bulk-queue')
  const forWorker = blockingConnection(access, 'bulk-worker')
  const close = async (): Promise<void> => {
    await clients?.close()
    await limiter.close()
    await size.close()
    forWorker.disconnect()
    forQueue.disconnect()
    clock.close()
    subscriber.close()
    link.close()
  }
  return { clock, link, subscriber, limiter, clients, queueConnection: forQueue, workerConnection: forWorker, close }
}
