/** How long one turn of the event loop begins requests before those that are left wait for the next. */
const turnMs = 1

/**
 * Begins requests so that no client delays the others by its own. When more has come in one turn of the event loop than
 * can be begun in a millisecond, the clients take turns, one request each; what is left waits for the next turn of
 * the loop, so that answers and new clients come between.
 */
export class FairTurns {
  readonly #lines = new Map<string, (() => void)[]>()
  #turnEndsMs = 0
  #isTurn = false

  /** Calls `begin` now or in one of the next turns. */
  take(client: string, begin: () => void): void {
    if (!this.#isTurn) this.#startTurn()
    if (this.#lines.size === 0 && performance.now() < this.#turnEndsMs) {
      begin()
      return
    }
    this.#lines.getOrInsert(client, []).push(begin)
  }

  #startTurn(): void {
    this.#isTurn = true
    this.#turnEndsMs = performance.now() + turnMs
    setImmediate(this.#nextTurn)
  }

  readonly #nextTurn = (): void => {
    this.#isTurn = false
    if (this.#lines.size === 0) return
    this.#startTurn()
    while (this.#lines.size > 0 && performance.now() < this.#turnEndsMs) this.#beginOne()
  }

  #beginOne(): void {
    for (const [client, line] of this.#lines) {
      const begin = line.shift()
      this.#lines.delete(client)
      // Behind the other clients.
      if (line.length > 0) this.#lines.set(client, line)
      begin?.()
      return
    }
  }
}
