import type { ConsoleKey } from '../contract.ts'

/**
 * When a key's quota will be used up if it goes on as it has since it was full; undefined if it is full again before.
 * Quotas are by the calendar month.
 * @param nowMs milliseconds since 1970
 */
export function emptyOn(
  key: Pick<ConsoleKey, 'used' | 'remaining' | 'limit' | 'resets'>,
  nowMs: number,
): string | undefined {
  const { remaining, limit, resets } = key
  const used = key.used ?? (limit === undefined || remaining === undefined ? undefined : limit - remaining)
  if (remaining === undefined || resets === undefined || used === undefined || used <= 0) return undefined
  const fullAgain = new Date(resets)
  const fullBefore = new Date(fullAgain)
  fullBefore.setUTCMonth(fullBefore.getUTCMonth() - 1)
  const sinceMs = nowMs - fullBefore.getTime()
  if (!(sinceMs > 0)) return undefined
  const emptyMs = nowMs + (Math.max(0, remaining) * sinceMs) / used
  return emptyMs < fullAgain.getTime() ? new Date(emptyMs).toISOString() : undefined
}
