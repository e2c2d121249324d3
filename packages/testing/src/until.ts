import { setTimeout as sleep } from 'node:timers/promises'

/** For a busy machine. What happens in time is not slower for it. */
const defaultTimeoutMs = 60_000

/**
 * Resolves with what `probe` gives once that is neither undefined nor false; for what announces itself by no event.
 * @throws after that time (60 seconds unless told), with the probe's text, so that a broken promise fails by its own name
 */
export async function until<T>(
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  timeoutMs = defaultTimeoutMs,
): Promise<T> {
  const endMs = performance.now() + timeoutMs
  for (;;) {
    const seen = await probe()
    if (seen !== undefined && seen !== false) return seen
    if (performance.now() > endMs) throw new Error(`not so within ${timeoutMs} ms: ${String(probe)}`)
    await sleep(10)
  }
}
