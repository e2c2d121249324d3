/** A time in which a process stands still counts as one of these parts at most. */
const parts = 10

/**
 * A signal that aborts when this process has run for so long. `AbortSignal.timeout` aborts by the clock, also what a
 * process that stood still has had no time to ask or to read.
 */
export function abortAfter(ms: number): AbortSignal {
  const controller = new AbortController()
  let left = parts
  const timer = setInterval(() => {
    left -= 1
    if (left > 0) return
    clearInterval(timer)
    // Behind what has come.
    setImmediate(() => controller.abort())
  }, ms / parts).unref()
  return controller.signal
}
