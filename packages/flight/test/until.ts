import { setTimeout as sleep } from 'node:timers/promises'

/** Resolves once it holds; for what announces itself by no event. Throws after 10 s. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = performance.now() + 10_000
  while (!(await holds())) {
    if (performance.now() > endMs) throw new Error(`still not so: ${String(holds)}`)
    await sleep(10)
  }
}
