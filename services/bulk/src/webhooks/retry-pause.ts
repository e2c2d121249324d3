import { type Backoff, backoffMs } from '@ipfleet/core/backoff.ts'

export const defaultPauses: Backoff = { firstMs: 1000, maxMs: 600_000 }

/** What a receiver may ask for with Retry-After. */
const maxAskedMs = 3_600_000

/** How long to wait after attempt `failures` (from 1). Never less than the receiver asks for, up to an hour. */
export function retryPauseMs(
  pauses: Backoff,
  failures: number,
  askedMs = 0,
  random: () => number = Math.random,
): number {
  return Math.round(Math.max(backoffMs(failures, pauses, random), Math.min(askedMs, maxAskedMs)))
}
