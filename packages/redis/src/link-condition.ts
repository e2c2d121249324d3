import { EventEmitter } from 'node:events'
import type { RedisProblem } from './redis-problem.ts'

export interface Trouble {
  readonly problem: RedisProblem
  /** Milliseconds since 1970, by this machine. */
  readonly sinceMs: number
}

interface LinkConditionEvents {
  /** Something is wrong that was not, or something else that an operator has to put right. */
  trouble: [problem: RedisProblem]
  /** Nothing is wrong any more. */
  well: []
}

/** What a link knows of what is wrong: told once when it begins and once when it is over, however often it is met. */
export class LinkCondition extends EventEmitter<LinkConditionEvents> {
  #trouble: Trouble | undefined
  readonly #told = new Set<string>()

  get trouble(): Trouble | undefined {
    return this.#trouble
  }

  set(problem: RedisProblem): void {
    const begins = this.#trouble === undefined
    this.#trouble = { problem, sinceMs: this.#trouble?.sinceMs ?? Date.now() }
    // A server that is away is so in many ways one after another.
    const isNews = begins || (problem.kind !== 'away' && !this.#told.has(problem.code))
    this.#told.add(problem.code)
    if (isNews) this.emit('trouble', problem)
  }

  clear(): void {
    if (this.#trouble === undefined) return
    this.#trouble = undefined
    this.#told.clear()
    this.emit('well')
  }
}
