const patienceMs = 60_000

/**
 * Polls until `probe` gives neither undefined nor false, and gives that.
 * @throws when nothing came within a minute, so that a broken promise fails by its own name.
 */
export async function eventually<T>(
  what: string,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  pause: () => Promise<unknown> = shortly,
): Promise<T> {
  const startedMs = performance.now()
  while (performance.now() - startedMs < patienceMs) {
    // One look after the other is the point.
    const seen = await probe()
    if (seen !== undefined && seen !== false) return seen
    await pause()
  }
  throw new Error(`not within ${patienceMs} ms: ${what}`)
}

function shortly(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 5))
}
