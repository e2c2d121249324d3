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
  const endMs = performance.now() + maxMs
  for (;;) {
    try {
      return await act()
    } catch (error) {
      const isDown = error instanceof RedisUnavailable && (error.reason === 'down' || error.reason === 'timeout')
      if (!isDown || performance.now() > endMs || signal?.aborted === true) throw error
      await delay(againAfterMs)
    }
  }
}
