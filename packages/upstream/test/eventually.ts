const patienceMs = 10_000

/** Polls until `probe` says true. @throws when it has not within ten seconds. */
export async function eventually(what: string, probe: () => boolean): Promise<void> {
  const startedMs = performance.now()
  while (!probe()) {
    if (performance.now() - startedMs > patienceMs) throw new Error(`not within ${patienceMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
