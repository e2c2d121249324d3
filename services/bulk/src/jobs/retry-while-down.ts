import { setTimeout as delay } from 'node:timers/promises'
import { RedisUnavailable } from '@ipfleet/redis/redis-unavailable.ts'

const againAfterMs = 200
/** Long enough for a restart of Redis, or for a failover. */
const maxMs = 10_000

/**
 * Tries again while the store is down, where giving up would lose much: in the middle of an upload or of a stream of
 * results. Only for what is idempotent.
 * @throws what `act` throws, when that lasts too long, or when the signal aborts
 */
export async function retryWhileDown<T>(act: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  let endMs: number | undefined
  for (;;) {
    try {
      return await act()
    } catch (error) {
      const isDown = error instanceof RedisUnavailable && (error.reason === 'down' || error.reason === 'timeout')
      // A command may have waited longer than this for its deadline (REDIS_TIMEOUT_MS): it is tried again all the same.
      endMs ??= performance.now() + maxMs
      if (!isDown || performance.now() > endMs || signal?.aborted === true) throw error
      await delay(againAfterMs)
    }
  }
}
