import { setTimeout as delay } from 'node:timers/promises'
import { RedisUnavailable } from '@ipfleet/redis/redis-unavailable.ts'

const againAfterMs = 200
/** Long enough for a Redis that is restarted, or for a failover. */
const timeoutMs = 10_000

/**
 * Waits for a store that is away for a moment, where much would be lost by giving up: in the middle of an upload or of a
 * stream of results. Only for what may be done twice.
 * @throws what `act` throws, when it goes on for too long, or when the signal aborts
 */
export async function retryWhileDown<T>(act: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  const endMs = performance.now() + timeoutMs
  for (;;) {
    try {
      return await act()
    } catch (error) {
      if (!isPassing(error) || performance.now() > endMs || signal?.aborted === true) throw error
      await delay(againAfterMs)
    }
  }
}

function isPassing(error: unknown): boolean {
  return error instanceof RedisUnavailable && (error.reason === 'down' || error.reason === 'timeout')
}
