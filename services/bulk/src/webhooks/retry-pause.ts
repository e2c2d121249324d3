import { backoffMs, type BackoffPauses } from '../backoff.ts'

export const defaultPauses: BackoffPauses = { firstMs: 1000, maxMs: 600_000 }

/** What a receiver may ask for with Retry-After. */
const maxAskedMs = 3_600_000

/**
 * How long to wait after the attempt `failures` (the first is 1). Half of it is by chance, so that the deliveries of one
 * outage do not come back together; and yet each pause is longer than the one before it, up to the longest. Never less
 * than the receiver asks for, up to an hour.
 */
export function retryPauseMs(
  pauses: BackoffPauses,
  failures: number,
  askedMs = 0,
  random: () => number = Math.random,
): number {
  return Math.round(Math.max(backoffMs(failures, pauses, random), Math.min(askedMs, maxAskedMs)))
}
