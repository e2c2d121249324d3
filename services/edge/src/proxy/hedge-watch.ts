import { lookRegularly } from '@ipfleet/core/look-regularly.ts'

/** A request that waits for its answer and may be asked elsewhere. */
export interface Hedgeable {
  /** Where it stands in the watch, whose it is. */
  place: number
  /** Since when (`performance.now()`). */
  readonly askedMs: number
  /** For how long it waits before another backend is asked too. */
  hedgeAfterMs(): number
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
  /**
   * Those asked first come first, which an `UnorderedList` does not keep; undefined: not waiting any more. Not a Set, for
   * the reason that is told there.
   */
  readonly #waiting: (Hedgeable | undefined)[] = []
  #timer: NodeJS.Timeout | undefined

  add(request: Hedgeable): void {
    request.place = this.#waiting.push(request) - 1
    this.#timer ??= lookRegularly(this.#look, lookEveryMs)
  }

  delete(request: Hedgeable): void {
    if (this.#waiting[request.place] === request) this.#waiting[request.place] = undefined
  }

  /** The backend was found not to answer: what waits for it is asked elsewhere now. */
  free(backend: string): void {
    for (const request of this.#waiting) if (request?.backendId === backend) request.free()
  }

  readonly #look = (nowMs: number): void => {
    this.#closeGaps()
    if (this.#waiting.length === 0) {
      clearInterval(this.#timer)
      this.#timer = undefined
    }
    // A request that is hedged goes to the end, and ends the round when it comes up there.
    for (const request of this.#waiting) {
      if (request === undefined) continue
      const waitedMs = nowMs - request.askedMs
      if (waitedMs < minMs) return
      if (waitedMs >= request.hedgeAfterMs()) request.hedge()
    }
  }

  #closeGaps(): void {
    let length = 0
    for (const request of this.#waiting) {
      if (request === undefined) continue
      request.place = length
      this.#waiting[length] = request
      length += 1
    }
    this.#waiting.length = length
  }
}
