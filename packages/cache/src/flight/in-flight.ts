/** A call that is under way for one subject or for many. */
export interface InFlight<T> {
  /** How the call ends for that subject. Makes a promise only for those subjects that another caller waits for. */
  result(subject: string): Promise<T>
}

/** The calls that are under way in this process, by subject (the pattern of Go's singleflight). */
export class InFlightCalls<T> {
  readonly #calls = new Map<string, InFlight<T>>()

  get size(): number {
    return this.#calls.size
  }

  /** How the call that is under way for a subject ends; undefined when there is none. */
  running(subject: string): Promise<T> | undefined {
    return this.#calls.get(subject)?.result(subject)
  }

  /** Calls `result` of the call only between `begin` and `end`. */
  begin(subject: string, call: InFlight<T>): void {
    this.#calls.set(subject, call)
  }

  end(subject: string): void {
    this.#calls.delete(subject)
  }
}
