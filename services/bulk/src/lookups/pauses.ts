import { EventEmitter } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'

/**
 * Why nothing is looked up for a while: upstream's breaker is open, every key is benched, the fleet has refused or not
 * answered, or there is no room for results.
 */
export const pauseReasons = ['upstream', 'keys', 'fleet', 'storage'] as const
export type PauseReason = (typeof pauseReasons)[number]

/** A pause may be shortened or made longer while one waits for its end. */
const lookAgainMs = 250

interface PausesEvents {
  /** There was no pause of that reason before. */
  paused: [reason: PauseReason, durationMs: number]
}

/** When this process looks nothing up, whichever job it is for. */
export class Pauses extends EventEmitter<PausesEvents> {
  readonly #untilMs = new Map<PauseReason, number>()
  readonly #clock: Clock

  constructor(clock: Clock = monotonicClock) {
    super()
    this.#clock = clock
  }

  /** From now on for that long, unless a longer one is there. */
  pause(reason: PauseReason, durationMs: number): void {
    if (!this.isPaused(reason)) this.emit('paused', reason, durationMs)
    const untilMs = this.#clock.nowMs() + durationMs
    this.#untilMs.set(reason, Math.max(untilMs, this.#untilMs.get(reason) ?? -Infinity))
  }

  isPaused(reason: PauseReason): boolean {
    return (this.#untilMs.get(reason) ?? -Infinity) > this.#clock.nowMs()
  }

  /** Of the pauses that are on. */
  reasons(): PauseReason[] {
    return pauseReasons.filter((reason) => this.isPaused(reason))
  }

  /** Resolves when nothing is paused. @throws the signal's reason */
  async over(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    for (let leftMs = this.#leftMs(); leftMs > 0; leftMs = this.#leftMs()) {
      await sleep(Math.min(leftMs, lookAgainMs), undefined, { signal })
    }
  }

  #leftMs(): number {
    return Math.max(0, ...this.#untilMs.values()) - this.#clock.nowMs()
  }
}
