export interface RetryPauses {
  /** Before the second attempt; doubles with each further one. */
  readonly firstMs: number
  readonly longestMs: number
}

export const usualPauses: RetryPauses = { firstMs: 1000, longestMs: 600_000 }

/** What a receiver may ask for with Retry-After. */
const longestAskedMs = 3_600_000

/**
 * How long to wait after the attempt `failures` (the first is 1). Half of it is by chance, so that the deliveries of one
 * outage do not come back together; and yet each pause is longer than the one before it, up to the longest. Never less
 * than the receiver asks for, up to an hour.
 */
export function retryPauseMs(
  { firstMs, longestMs }: RetryPauses,
  failures: number,
  askedMs = 0,
  random: () => number = Math.random,
): number {
  const fullMs = Math.min(firstMs * 2 ** (failures - 1), longestMs)
  return Math.round(Math.max(fullMs * (0.5 + random() / 2), Math.min(askedMs, longestAskedMs)))
}
