import { RedisUnavailable } from './redis-unavailable.ts'

/**
 * The promise's own result, or `RedisUnavailable('timeout')` after `timeoutMs`.
 *
 * When this process itself was stalled (a long GC, a busy machine) the timer fires before the socket is read, and a
 * reply that has long arrived would count as a timeout. One turn of the poll phase between the timer and the verdict
 * lets such replies in.
 */
export function withinDeadline<T>(promise: Promise<T>, timeoutMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      setImmediate(() => setImmediate(() => reject(new RedisUnavailable('timeout'))))
    }, timeoutMs)
    promise.then(
      (value) => {
        clearTimeout(timer)
        resolve(value)
      },
      (error: unknown) => {
        clearTimeout(timer)
        reject(error)
      },
    )
  })
}
