import { between } from './jitter.ts'

export interface Backoff {
  /** After the first failure; doubles with each further one. */
  readonly firstMs: number
  readonly maxMs: number
}

/** For what is asked of another server of the fleet, or of Redis. */
export const defaultBackoff: Backoff = { firstMs: 250, maxMs: 30_000 }

/** Doubles with each failure. @param failures in a row, from 1 */
export function exponentialMs(failures: number, { firstMs, maxMs }: Backoff): number {
  return Math.min(firstMs * 2 ** (failures - 1), maxMs)
}

/**
 * Exponential with equal jitter: half of each pause is by chance, so that the clients of one outage do not come back
 * together, and each pause is at least as long as the one before it could be, up to the maximum.
 * @param failures in a row, from 1
 */
export function backoffMs(failures: number, backoff = defaultBackoff, random?: () => number): number {
  const ms = exponentialMs(failures, backoff)
  return between(ms / 2, ms, random)
}
