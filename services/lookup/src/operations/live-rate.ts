import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'

/** A caller that asks seldom gets the rate of at least a second. */
const windowMs = 1000

/** How many look-ups a second clients have waited for of late. A bulk service slows down by it. */
export class LiveRate {
  readonly #total: () => number
  readonly #clock: Clock
  #mark: { readonly atMs: number; readonly total: number }
  #perSecond = 0

  /** @param total of such look-ups since the start */
  constructor(total: () => number, clock: Clock = monotonicClock) {
    this.#total = total
    this.#clock = clock
    this.#mark = { atMs: clock.nowMs(), total: total() }
  }

  /** Over a second or more, up to when this was asked before. */
  perSecond(): number {
    const nowMs = this.#clock.nowMs()
    const sinceMs = nowMs - this.#mark.atMs
    if (sinceMs >= windowMs) {
      const total = this.#total()
      this.#perSecond = (total - this.#mark.total) / (sinceMs / 1000)
      this.#mark = { atMs: nowMs, total }
    }
    return this.#perSecond
  }
}
