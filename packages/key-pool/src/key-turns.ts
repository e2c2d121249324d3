import { takeTurn } from '@ipfleet/core/weighted-turns.ts'

/** Weighted round robin over keys whose weights change from turn to turn. */
export class KeyTurns {
  readonly #candidates = new Map<string, { turn: number; effectiveWeight: number }>()

  /** Index of the one whose turn it is; -1 for none. */
  next(ids: readonly string[], weights: readonly number[]): number {
    const candidates = ids.map((id, index) => {
      // Replicas that start together should not all begin with the first key.
      const candidate = this.#candidates.get(id) ?? { turn: Math.random(), effectiveWeight: 1 }
      candidate.effectiveWeight = weights[index] ?? 1
      this.#candidates.set(id, candidate)
      return candidate
    })
    const chosen = takeTurn(candidates)
    return chosen === undefined ? -1 : candidates.indexOf(chosen)
  }
}
