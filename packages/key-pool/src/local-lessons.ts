import type { Clock } from '@ipfleet/core/clock.ts'
import { type Lesson, scopeOf } from './key-store.ts'

interface Learnt {
  readonly untilMs: number
  readonly richness: number | undefined
}

/** What this process has learnt of what keys may ask. Forgotten after a while, since plans change. */
export class LocalLessons {
  readonly #clock: Clock
  readonly #learnt = new Map<string, Learnt>()
  readonly #underWayUntilMs = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  learn({ id, product, forMs, richness }: Lesson): void {
    const scope = scopeOf(id, product)
    const before = this.#alive(scope)?.richness
    const most = richness === undefined ? before : Math.max(richness, before ?? 0)
    this.#learnt.set(scope, { untilMs: this.#clock.nowMs() + forMs, richness: most })
    this.#underWayUntilMs.delete(scope)
  }

  knows(id: string, product: string): boolean {
    return this.#alive(scopeOf(id, product)) !== undefined
  }

  richness(id: string, product: string | undefined): number | undefined {
    return this.#alive(scopeOf(id, product))?.richness
  }

  /** True when the caller is the one who finds out; then others wait for so long. */
  begin(id: string, product: string | undefined, forMs: number): boolean {
    if (product === undefined || this.knows(id, product)) return false
    this.#underWayUntilMs.set(scopeOf(id, product), this.#clock.nowMs() + forMs)
    return true
  }

  end(id: string, product: string | undefined): void {
    this.#underWayUntilMs.delete(scopeOf(id, product))
  }

  underWayForMs(id: string, product: string | undefined): number {
    return Math.max(0, (this.#underWayUntilMs.get(scopeOf(id, product)) ?? 0) - this.#clock.nowMs())
  }

  #alive(scope: string): Learnt | undefined {
    const learnt = this.#learnt.get(scope)
    return learnt && learnt.untilMs > this.#clock.nowMs() ? learnt : undefined
  }
}
