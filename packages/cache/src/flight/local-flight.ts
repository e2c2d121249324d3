/** Many calls that are under way as one; makes a promise only for those subjects that somebody waits for. */
export interface Formation<T> {
  /** How the call for that subject ends. Asked for only between `begin` and `end`. */
  result(subject: string): Promise<T>
}

/**
 * One call at a time per subject within this process. Those who come while it runs get its result, success and
 * failure alike (the pattern of Go's singleflight).
 */
export class LocalFlight<T> {
  readonly #inFlight = new Map<string, Formation<T>>()

  get size(): number {
    return this.#inFlight.size
  }

  /** `joined` tells whether the call was already under way when this caller came. */
  async run(subject: string, call: () => Promise<T>): Promise<{ result: T; joined: boolean }> {
    const running = this.running(subject)
    if (running) return { result: await running, joined: true }
    const started = call().finally(() => this.end(subject))
    this.begin(subject, { result: () => started })
    return { result: await started, joined: false }
  }

  /** How the call that is under way for a subject ends; undefined when there is none. */
  running(subject: string): Promise<T> | undefined {
    return this.#inFlight.get(subject)?.result(subject)
  }

  /** A call that the caller makes itself, and ends. */
  begin(subject: string, formation: Formation<T>): void {
    this.#inFlight.set(subject, formation)
  }

  end(subject: string): void {
    this.#inFlight.delete(subject)
  }
}
