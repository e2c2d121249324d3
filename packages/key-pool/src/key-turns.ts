/**
 * Smooth weighted round robin, as in nginx (`ngx_http_upstream_round_robin.c`): each turn every candidate gains its
 * weight, the foremost is chosen and falls back by the sum of them. Turns of a heavy key are thus spread out, and with
 * equal weights this is plain round robin.
 */
export class KeyTurns {
  readonly #gained = new Map<string, number>()

  /** Index of the one whose turn it is; -1 for none. */
  next(ids: readonly string[], weights: readonly number[]): number {
    let chosen = -1
    let most = -Infinity
    let total = 0
    for (const [index, id] of ids.entries()) {
      const weight = weights[index] ?? 1
      // Replicas that start together should not all begin with the first key.
      const gained = (this.#gained.get(id) ?? Math.random()) + weight
      this.#gained.set(id, gained)
      total += weight
      if (gained > most) [chosen, most] = [index, gained]
    }
    const id = ids[chosen]
    if (id !== undefined) this.#gained.set(id, most - total)
    return chosen
  }
}
