export interface BackoffPauses {
  /** After the first failure; doubles with each further one. */
  readonly firstMs: number
  readonly maxMs: number
}

/** What is asked of the fleet and of Redis. */
const defaultPauses: BackoffPauses = { firstMs: 250, maxMs: 30_000 }

/**
 * Exponential, with half of it by chance so that those of one outage do not come back together; and yet each pause is
 * longer than the one before it, up to the longest.
 * @param failures in a row, from 1
 */
export function backoffMs(
  failures: number,
  { firstMs, maxMs }: BackoffPauses = defaultPauses,
  random: () => number = Math.random,
): number {
  return Math.min(firstMs * 2 ** (failures - 1), maxMs) * (0.5 + random() / 2)
}
