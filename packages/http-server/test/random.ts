export interface Random {
  /** A whole number from 0 to under `limit`. */
  below(limit: number): number
  pick<T>(values: readonly T[]): T
}

/** The same sequence for the same seed: mulberry32, by Tommy Ettinger. */
export function randomOf(seed: number): Random {
  let state = seed
  const below = (limit: number): number => {
    state = (state + 0x6d2b79f5) | 0
    let bits = Math.imul(state ^ (state >>> 15), state | 1)
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61)
    return Math.floor((((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32) * limit)
  }
  return { below, pick: (values) => values[below(values.length)] as (typeof values)[number] }
}
