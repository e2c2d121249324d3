import { randomNumbers } from '@ipfleet/testing/random-numbers.ts'

export interface Random {
  /** A whole number from 0 to under `limit`. */
  below(limit: number): number
  pick<T>(values: readonly T[]): T
}

/** The same sequence for the same seed. */
export function randomOf(seed: number): Random {
  const next = randomNumbers(seed)
  const below = (limit: number): number => Math.floor(next() * limit)
  return { below, pick: (values) => values[below(values.length)] as (typeof values)[number] }
}
