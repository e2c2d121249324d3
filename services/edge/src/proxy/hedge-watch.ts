/** A request that waits for its answer and may be asked elsewhere. */
export interface Hedgeable {
  /** Since when (`performance.now()`). */
  readonly askedMs: number
  /** For how long it waits before another backend is asked too; Infinity: until its backend is found not to answer. */
  hedgeAfterMs(): number
  /** The backend that is asked. */
  readonly backendId: string | undefined
  /** Asks another one, if there is one and the retry budget allows it. */
  hedge(): void
  /** Its backend was found not to answer: asks another one as soon as there is one. */
  free(): void
}

const lookEveryMs = 50
/** None is asked elsewhere sooner. */
const minMs = 250

/** Looks after the requests that wait for an answer: one timer for all. */
export class HedgeWatch {
  /** Those asked first come first. */
  readonly #waiting = new Set<Hedgeable>()
  #timer: NodeJS.Timeout | undefined

  add(request: Hedgeable): void {
    this.#waiting.add(request)
    this.#timer ??= setInterval(() => this.#look(), lookEveryMs).unref()
  }

  delete(request: Hedgeable): void {
    this.#waiting.delete(request)
  }

  /** The backend was found not to answer: what waits for it is asked elsewhere now. */
  free(backend: string): void {
    for (const request of this.#waiting) if (request.backendId === backend) request.free()
  }

  #look(): void {
    const nowMs = performance.now()
    if (this.#waiting.size === 0) {
      clearInterval(this.#timer)
      this.#timer = undefined
    }
    // A request that is hedged goes to the end of the set, and ends the round when it comes up there.
    for (const request of this.#waiting) {
      const waitedMs = nowMs - request.askedMs
      if (waitedMs < minMs) return
      if (waitedMs >= request.hedgeAfterMs()) request.hedge()
    }
  }
}
