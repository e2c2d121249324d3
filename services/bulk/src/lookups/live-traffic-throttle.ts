import { setTimeout as sleep } from 'node:timers/promises'
import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'

/** The fleet counts as free of live look-ups so long after the last answer that reported some. */
const believedMs = 3000
const maxRestMs = 2000

/**
 * Leaves time to live look-ups. A replica does one thing at a time, so that a look-up behind a batch waits for it. While
 * the fleet has live look-ups, this process has one batch under way at a time, and rests after each, so that batches take
 * at most a share of the time.
 */
export class LiveTrafficThrottle {
  readonly #share: number
  readonly #clock: Clock
  #liveUntilMs = -Infinity
  #last: Promise<unknown> = Promise.resolve()
  #restUntilMs = -Infinity

  /** @param sharePercent of the time that batches may take beside live look-ups; 100: no throttling */
  constructor(sharePercent: number, clock: Clock = monotonicClock) {
    this.#share = sharePercent / 100
    this.#clock = clock
  }

  /** Whether there are live look-ups. */
  get isDue(): boolean {
    return this.#share < 1 && this.#liveUntilMs > this.#clock.nowMs()
  }

  /** @param liveRate live look-ups a second, as the answer to a batch reports them */
  note(liveRate: number, durationMs: number): void {
    const nowMs = this.#clock.nowMs()
    if (liveRate > 0) this.#liveUntilMs = nowMs + believedMs
    if (this.isDue) this.#restUntilMs = nowMs + Math.min(maxRestMs, durationMs * (1 / this.#share - 1))
  }

  /** Runs `ask` in its turn: at once while there are no live look-ups. @throws the signal's reason */
  async inTurn<T>(signal: AbortSignal, ask: () => Promise<T>): Promise<T> {
    if (!this.isDue) return ask()
    const before = this.#last
    const own = Promise.withResolvers<void>()
    this.#last = own.promise
    try {
      await before
      const restMs = this.#restUntilMs - this.#clock.nowMs()
      if (restMs > 0) await sleep(restMs, undefined, { signal })
      return await ask()
    } finally {
      own.resolve()
    }
  }
}
