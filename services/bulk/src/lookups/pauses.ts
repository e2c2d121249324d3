import { EventEmitter } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'

/**
 * Why nothing is looked up for a while: upstream's breaker is open, all keys are benched, the fleet has refused or not
 * answered, or there is no room for results.
 */
export const pauseReasons = ['upstream', 'keys', 'fleet', 'storage'] as const
export type PauseReason = (typeof pauseReasons)[number]

/** A pause may become longer while its end is awaited. */
const lookAgainMs = 250

/** Pauses of all look-ups of this process. `paused`: there was no pause of that reason before. */
export class Pauses extends EventEmitter<{ paused: [reason: PauseReason, durationMs: number] }> {
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

  reasons(): PauseReason[] {
    return pauseReasons.filter((reason) => this.isPaused(reason))
  }

  /** Resolves when nothing is paused. @throws the signal's reason */
  async over(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    for (;;) {
      const leftMs = Math.max(0, ...this.#untilMs.values()) - this.#clock.nowMs()
      if (leftMs <= 0) return
      await sleep(Math.min(leftMs, lookAgainMs), undefined, { signal })
    }
  }
}
