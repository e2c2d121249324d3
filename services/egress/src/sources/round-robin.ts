import type { LiveSource } from './live-source.ts'
import type { IsUsable, Rotation } from './rotation.ts'

/**
 * By turns. Whole rounds are even by themselves, so each replica goes its own, and asks nobody for a turn: after any
 * number of connections of `r` replicas, the counts of two sources differ by at most `r`. What the fleet must agree on
 * is where each begins (`startAt`): replicas that make few connections, or live shortly, would otherwise all use the
 * first sources more than the last.
 *
 * The turn of a source that is not usable goes to a second round of those that are, or its neighbour would have twice
 * as many.
 */
export class RoundRobin implements Rotation {
  readonly #sources: readonly LiveSource[]
  #turn: number
  #standIn: number
  #hasBegun = false

  /** `firstTurn`: any whole number from 0. */
  constructor(sources: readonly LiveSource[], firstTurn: number) {
    this.#sources = sources
    this.#turn = firstTurn % sources.length
    this.#standIn = this.#turn
  }

  /** Begins there, unless it has begun: a round must not be broken off. */
  startAt(firstTurn: number): void {
    if (this.#hasBegun) return
    this.#turn = firstTurn % this.#sources.length
    this.#standIn = this.#turn
  }

  next(isUsable: IsUsable): LiveSource | undefined {
    this.#hasBegun = true
    const due = this.#sources[this.#turn]
    this.#turn = (this.#turn + 1) % this.#sources.length
    return due !== undefined && isUsable(due) ? due : this.#nextStandIn(isUsable)
  }

  #nextStandIn(isUsable: IsUsable): LiveSource | undefined {
    const size = this.#sources.length
    for (let passed = 0; passed < size; passed += 1) {
      const source = this.#sources[this.#standIn]
      this.#standIn = (this.#standIn + 1) % size
      if (source !== undefined && isUsable(source)) return source
    }
    return undefined
  }
}
