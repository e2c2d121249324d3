/** Of connections: a deadline is late by up to as much, and costs no timer per request. */
const defaultEveryMs = 100

/**
 * Calls back with the time (`performance.now()`) until the timer is cleared, and perhaps once more. What came while this
 * process stood still is read between the timer and the look, so that no deadline is judged without it.
 */
export function lookRegularly(look: (nowMs: number) => void, everyMs = defaultEveryMs): NodeJS.Timeout {
  return setInterval(() => setImmediate(look, performance.now()), everyMs).unref()
}
