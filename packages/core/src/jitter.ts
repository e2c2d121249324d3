/**
 * A number between two, both included as limits, by chance: replicas that do the same thing after the same event (a
 * restart, an outage, a lease that ends) shall not do it at the same time.
 */
export function between(least: number, most: number, random: () => number = Math.random): number {
  return least + random() * (most - least)
}

/** A period that varies by a tenth either way. */
export function jittered(periodMs: number, random?: () => number): number {
  return between(0.9 * periodMs, 1.1 * periodMs, random)
}
