import { AsyncLocalStorage } from 'node:async_hooks'
import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'

/** How long one request may still wait for Redis, in all its commands together. Those that run at once are one wait. */
export class RequestBudget {
  readonly #clock: Clock
  #leftMs: number
  #waits = 0
  #sinceMs = 0

  constructor(budgetMs: number, clock: Clock = monotonicClock) {
    this.#clock = clock
    this.#leftMs = budgetMs
  }

  get leftMs(): number {
    const runsForMs = this.#waits > 0 ? this.#clock.nowMs() - this.#sinceMs : 0
    return Math.max(0, this.#leftMs - runsForMs)
  }

  /** One command. */
  spend<T>(wait: () => Promise<T>): Promise<T> {
    if (this.#waits === 0) this.#sinceMs = this.#clock.nowMs()
    this.#waits += 1
    const waiting = wait()
    waiting.then(this.#waited, this.#waited)
    return waiting
  }

  readonly #waited = (): void => {
    if (this.#waits === 1) this.#leftMs = this.leftMs
    this.#waits -= 1
  }

  /** The request is answered: what goes on for it costs it no time. */
  end(): void {
    this.#leftMs = Infinity
  }
}

const current = new AsyncLocalStorage<RequestBudget>()

/** That of the request that the caller works for; undefined: it works for none. */
export function currentBudget(): RequestBudget | undefined {
  return current.getStore()
}

/** Runs a function, and what it starts, on the budget of a request. */
export function withBudget<T>(budget: RequestBudget, run: () => T): T {
  return current.run(budget, run)
}

/** Runs what the request that the caller works for does not wait for. */
export function withoutBudget<T>(run: () => T): T {
  return current.exit(run)
}
