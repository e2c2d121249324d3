import type { Clock } from '@ipfleet/core/clock.ts'

/** A clock that stands still until a test moves it: monotonic milliseconds, as every `nowMs()` port expects. */
export interface ManualClock extends Clock {
  readonly nowMs: () => number
  /** Moves on by `ms` ≥ 0; gives the new time. Throws RangeError for less: a monotonic clock never goes back. */
  readonly advance: (ms: number) => number
  /** Moves on to `ms`, which may not lie in the past (RangeError). */
  readonly set: (ms: number) => number
}

/** Starts at `startMs`, 0 unless told. */
export function manualClock(startMs = 0): ManualClock {
  let now = startMs
  function set(ms: number): number {
    if (!(ms >= now)) throw new RangeError(`a monotonic clock cannot go from ${now} to ${ms}`)
    now = ms
    return now
  }
  return { nowMs: () => now, set, advance: (ms) => set(now + ms) }
}
