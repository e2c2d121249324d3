import type { Clock } from '@ipfleet/core/clock.ts'
import { neededProducts } from './asked-product.ts'
import { scopeOf } from './key-store.ts'
import type { Ticket } from './ticket.ts'

/** A key that answered a request this recently is not to blame for a refusal that no other key has met. */
const provenForMs = 60_000

type Asked = Pick<Ticket, 'key' | 'product'>

/** What this process has seen of keys, for telling whom a refusal is about. */
export class KeyEvidence {
  readonly #clock: Clock
  readonly #lastAnswerMs = new Map<string, number>()
  /** The first query that a key was refused for a product, where the refusal may be about the query. */
  readonly #refusedQueries = new Map<string, string>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  answered({ key, product }: Asked): void {
    for (const name of neededProducts(product)) {
      this.#lastAnswerMs.set(scopeOf(key.id, name), this.#clock.nowMs())
      this.#refusedQueries.delete(scopeOf(key.id, name))
    }
  }

  /** Whether the key has answered a request for this product lately. */
  isProven({ key, product }: Asked): boolean {
    const lastMs = this.#lastAnswerMs.get(scopeOf(key.id, product.name))
    return lastMs !== undefined && this.#clock.nowMs() - lastMs < provenForMs
  }

  /** Whether the key was refused another query for this product before, and has answered none since. */
  isSecondRefusal({ key, product }: Asked, query: string): boolean {
    const scope = scopeOf(key.id, product.name)
    const first = this.#refusedQueries.get(scope)
    if (first === undefined) this.#refusedQueries.set(scope, query)
    return first !== undefined && first !== query
  }
}
