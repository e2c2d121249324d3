import { lookRegularly } from './look-regularly.ts'
import { UnorderedList } from './unordered-list.ts'

/** What may last too long. It is asked now and then, and ends by itself. */
export interface HasDeadline {
  checkDeadline(nowMs: number): void
}

/** Looks after what ends nearly always before its deadline: one timer for all, and no deadline is late by over 100 ms. */
export class DeadlineWatch {
  readonly #underWay = new UnorderedList<HasDeadline>(Symbol('place among what has a deadline'))
  #timer: NodeJS.Timeout | undefined

  add(one: HasDeadline): void {
    this.#underWay.add(one)
    this.#timer ??= lookRegularly(this.#look)
  }

  delete(one: HasDeadline): void {
    this.#underWay.delete(one)
  }

  /** The timer rests only when it finds nothing: under load, nothing is under way again and again. */
  readonly #look = (nowMs: number): void => {
    for (const one of this.#underWay) one.checkDeadline(nowMs)
    if (this.#underWay.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
