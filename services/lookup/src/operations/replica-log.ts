import type { OfflineDb } from '@ipfleet/offline/offline-db.ts'
import type { KeyPool } from '@ipfleet/key-pool/key-pool.ts'
import { logLink } from '@ipfleet/redis/log-link.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import type { Logger } from '@ipfleet/telemetry/logger.ts'
import type { Fleet } from '../fleet/fleet.ts'
import type { UpstreamStack } from '../upstream/upstream-stack.ts'

/** What happens to Redis, keys and upstream, as lines in the log. */
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
  for (const { name: provider, gate } of upstream?.providers ?? []) {
    gate.on('change', (product, state) => logger.warn({ provider, product, breaker: state }, 'upstream breaker'))
  }
}

/** What the line about the mode needs of the fleet. */
interface RedisOfFleet {
  readonly redis: { readonly state: Pick<RedisLink, 'up'> } | undefined
}

export interface ModeWords {
  /** The setting that lists the keys of the provider. */
  readonly keysSetting: string
  /** Undefined where it answers nothing. */
  readonly offlineDb: Pick<OfflineDb, 'type' | 'builtAt'> | undefined
}

/** The line that tells an operator after the start what the replica has, and what is missing. */
export function logMode(
  logger: Logger,
  fleet: RedisOfFleet,
  upstream: { readonly pool: Pick<KeyPool, 'size'> } | undefined,
  { keysSetting, offlineDb }: ModeWords,
): void {
  if (upstream) {
    logger.info({ keys: upstream.pool.size }, `asking upstream; keys, cache and coalescing: ${sharedInWords(fleet)}`)
    return
  }
  const toShare = fleet.redis ? '' : ', and REDIS_URL=redis://host:6379 to share cache and keys between replicas'
  logger.warn(
    `no ${keysSetting}: answering from the embedded database alone (${offlineDb ? inWords(offlineDb) : ''}). ` +
      `Set ${keysSetting}=key1,key2 to ask upstream${toShare}`,
  )
}

/** `country ipvAll of 2025-01-31`: the type as the file names it, and how old its data are. */
function inWords({ type, builtAt }: NonNullable<ModeWords['offlineDb']>): string {
  return `${type} of ${builtAt.toISOString().slice(0, 10)}`
}

/** Why Redis cannot be used is a line of its own. */
function sharedInWords({ redis }: RedisOfFleet): string {
  if (!redis) return 'this replica alone (set REDIS_URL to share them)'
  return redis.state.up ? 'shared through Redis' : 'this replica alone until Redis can be used'
}
