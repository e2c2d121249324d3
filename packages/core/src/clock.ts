/** The time of one process, passed in wherever durations matter, so that tests can set it. */
export interface Clock {
  /** Monotonic milliseconds since some fixed moment of this process. Never jumps, unlike the wall clock. */
  nowMs(): number
}

export const monotonicClock: Clock = { nowMs: () => performance.now() }
