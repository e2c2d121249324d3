import type { Logger } from '@ipfleet/telemetry/logger.ts'
import type { FleetParts } from './fleet-parts.ts'
import type { UpstreamParts } from './upstream-parts.ts'

/** What happens to the replica's surroundings, as lines in the log. */
export function logEvents(logger: Logger, fleet: FleetParts, upstream: UpstreamParts | undefined): void {
  for (const link of new Set(fleet.redis ? [fleet.redis.state, fleet.redis.cache] : [])) {
    link.on('up', () => logger.info({ redis: link.name }, 'redis is up'))
    link.on('down', () => logger.warn({ redis: link.name }, 'redis is away; going on without it'))
  }
  upstream?.pool.on('benched', (key, reason, durationMs) => {
    logger.warn({ key, reason, seconds: Math.ceil(durationMs / 1000) }, 'key benched')
  })
  upstream?.pool.on('recovered', (key) => logger.info({ key }, 'key is good again'))
  upstream?.gate.on('breaker', (state) => logger.warn({ breaker: state }, 'upstream breaker'))
}

/** The line that tells someone who has just started it what they have, and what is missing. */
export function logMode(logger: Logger, fleet: FleetParts, upstream: UpstreamParts | undefined): void {
  if (upstream) {
    const shared = fleet.redis ? 'shared through Redis' : 'this replica alone (set REDIS_URL to share them)'
    logger.info({ keys: upstream.pool.size }, `asking upstream; keys, cache and coalescing: ${shared}`)
    return
  }
  logger.warn(
    'no IPINFO_KEYS: answering from the embedded database, which knows countries only. ' +
      'Set IPINFO_KEYS=key1,key2 to ask upstream, and REDIS_URL=redis://host:6379 to share cache and keys between replicas',
  )
}
