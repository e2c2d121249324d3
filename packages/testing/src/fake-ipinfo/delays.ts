/** Timers that end with their owner: after `close` none is left, and what waited for one waits for ever. */
export class Delays {
  readonly #timers = new Set<NodeJS.Timeout>()

  wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#timers.delete(timer)
        resolve()
      }, ms)
      this.#timers.add(timer)
    })
  }

  close(): void {
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
  }
}
