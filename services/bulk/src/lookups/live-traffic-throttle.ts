import { setTimeout as sleep } from 'node:timers/promises'
import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'

/** So long after the last word of live look-ups the fleet is taken to have none. */
const believedMs = 3000
/** However long a batch has taken. */
const maxRestMs = 2000

/**
 * Regard for live look-ups. A replica works on one thing at a time, so that whoever comes behind a batch waits for it:
 * while the fleet has live look-ups, this process has one batch under way at a time, and rests after each so that
 * batches take no more than a share of the time.
 */
export class LiveTrafficThrottle {
  readonly #share: number
  readonly #clock: Clock
  #liveUntilMs = -Infinity
  #last: Promise<unknown> = Promise.resolve()
  #restUntilMs = -Infinity

  /** @param sharePercent of the time that batches may take beside live look-ups; 100: no regard */
  constructor(sharePercent: number, clock: Clock = monotonicClock) {
    this.#share = sharePercent / 100
    this.#clock = clock
  }

  /** Whether there are live look-ups to have regard for. */
  get isDue(): boolean {
    return this.#share < 1 && this.#liveUntilMs > this.#clock.nowMs()
  }

  /** What the answer to a batch has told. @param liveRate look-ups a second that somebody waits for */
  note(liveRate: number, durationMs: number): void {
    const nowMs = this.#clock.nowMs()
    if (liveRate > 0) this.#liveUntilMs = nowMs + believedMs
    if (this.isDue) this.#restUntilMs = nowMs + Math.min(maxRestMs, durationMs * (1 / this.#share - 1))
  }

  /** Runs it when its turn has come: at once while there is nobody to have regard for. @throws the signal's reason */
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
