import { lookRegularly } from '@ipfleet/core/look-regularly.ts'
import { spread } from '@ipfleet/core/spread.ts'

/** Something that may last too long; it is asked now and then and acts by itself. */
export interface Watched {
  checkStall(nowMs: number): void
}

const everyMs = 500

/** Looks after whatever waits for a client: one timer for all, and none for requests that never wait. */
export class StallWatch {
  readonly #watched = new Set<Watched>()
  #timer: NodeJS.Timeout | undefined
  #isLooking = false

  add(watched: Watched): void {
    this.#watched.add(watched)
    this.#timer ??= lookRegularly(this.#look, everyMs)
  }

  delete(watched: Watched): void {
    if (!this.#watched.delete(watched) || this.#watched.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  readonly #look = (nowMs: number): void => {
    if (this.#isLooking) return
    this.#isLooking = true
    spread(
      this.#watched.values(),
      (watched) => watched.checkStall(nowMs),
      () => (this.#isLooking = false),
    )
  }
}
