/**
 * One call at a time per subject within this process. Those who come while it runs get its result, success and
 * failure alike (the pattern of Go's singleflight).
 */
export class LocalFlight<T> {
  readonly #inFlight = new Map<string, Promise<T>>()

  get size(): number {
    return this.#inFlight.size
  }

  /** `joined` tells whether the call was already under way when this caller came. */
  async run(subject: string, call: () => Promise<T>): Promise<{ result: T; joined: boolean }> {
    const running = this.#inFlight.get(subject)
    if (running) return { result: await running, joined: true }
    const started = call().finally(() => this.#inFlight.delete(subject))
    this.#inFlight.set(subject, started)
    return { result: await started, joined: false }
  }
}
