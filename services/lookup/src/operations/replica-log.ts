import { logLink } from '@ipfleet/redis/log-link.ts'
import type { Logger } from '@ipfleet/telemetry/logger.ts'
import type { Fleet } from '../fleet/fleet.ts'
import type { UpstreamStack } from '../upstream/upstream-stack.ts'

/** What happens to the replica's surroundings, as lines in the log. */
export function logEvents(logger: Logger, fleet: Fleet, upstream: UpstreamStack | undefined): void {
  for (const link of new Set(fleet.redis ? [fleet.redis.state, fleet.redis.cache] : [])) {
    logLink(link, logger, 'going on without it')
  }
  for (const pool of upstream?.pools ?? []) {
    pool.on('benched', (key, reason, durationMs, product) => {
      logger.warn(
        { key, ...(product !== undefined && { product }), reason, seconds: Math.ceil(durationMs / 1000) },
        'key benched',
      )
    })
    pool.on('released', (key) => logger.info({ key }, 'key released'))
    pool.on('recovered', (key) => logger.info({ key }, 'key is good again'))
  }
  upstream?.gate.on('change', (product, state) => logger.warn({ product, breaker: state }, 'upstream breaker'))
}

export interface ModeWords {
  /** The setting that lists the keys of the provider. */
  readonly keysSetting: string
  /** What the embedded database says that it is. */
  readonly offlineDb: string
}

/** The line that tells an operator after the start what the replica has, and what is missing. */
export function logMode(
  logger: Logger,
  fleet: Fleet,
  upstream: UpstreamStack | undefined,
  { keysSetting, offlineDb }: ModeWords,
): void {
  if (upstream) {
    logger.info({ keys: upstream.pool.size }, `asking upstream; keys, cache and coalescing: ${sharedInWords(fleet)}`)
    return
  }
  logger.warn(
    `no ${keysSetting}: answering from the embedded database alone (${offlineDb}). ` +
      `Set ${keysSetting}=key1,key2 to ask upstream, and REDIS_URL=redis://host:6379 to share cache and keys between replicas`,
  )
}

/** Why Redis cannot be used is a line of its own. */
function sharedInWords({ redis }: Fleet): string {
  if (!redis) return 'this replica alone (set REDIS_URL to share them)'
  return redis.state.up ? 'shared through Redis' : 'this replica alone until Redis can be used'
}
