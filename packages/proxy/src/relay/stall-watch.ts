import { lookRegularly } from '@ipfleet/core/look-regularly.ts'
import { spread } from '@ipfleet/core/spread.ts'
import { UnorderedList } from '@ipfleet/core/unordered-list.ts'
import type { ClientAnswer } from './client-answer.ts'

/** Something that may last too long; it is asked now and then and acts by itself. */
export interface Watched {
  checkStall(nowMs: number): void
}

const everyMs = 500
const stallPlace = Symbol('place in the stall watch')

/** Looks after whatever waits for a client: one timer for all, and none as long as nothing waits. */
export class StallWatch {
  readonly #watched = new UnorderedList<Watched>(stallPlace)
  #timer: NodeJS.Timeout | undefined
  #isLooking = false

  add(watched: Watched): void {
    this.#watched.delete(watched)
    this.#watched.add(watched)
    this.#timer ??= lookRegularly(this.#look, everyMs)
  }

  /** To be called when all of an answer has been handed over: cuts it if the client then leaves it unread for so long. */
  addUnread(answer: ClientAnswer, sendTimeoutMs: number): void {
    if (!answer.pending) return
    const untilMs = performance.now() + sendTimeoutMs
    const unread = { checkStall: (nowMs: number): void => void (nowMs > untilMs && answer.cut()) }
    answer.listener = { clientReads: () => {}, clientGone: () => this.delete(unread) }
    this.add(unread)
  }

  delete(watched: Watched): void {
    this.#watched.delete(watched)
  }

  readonly #look = (nowMs: number): void => {
    if (this.#isLooking) return
    if (this.#watched.size === 0) {
      clearInterval(this.#timer)
      this.#timer = undefined
      return
    }
    this.#isLooking = true
    spread(
      this.#watched[Symbol.iterator](),
      (watched) => watched.checkStall(nowMs),
      () => (this.#isLooking = false),
    )
  }
}
