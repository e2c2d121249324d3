import type { Outcome } from '@ipfleet/cache/outcome.ts'
import { type Query, requestOf } from '../query/query.ts'
import type { BatchLoader } from './batch-loader.ts'
import type { Upstream } from './upstream.ts'

export interface MicroBatcherDeps {
  /** How long a query waits for others. */
  readonly windowMs: number
  readonly loader: BatchLoader
  /** Is asked a query by itself: the only one within its window, or one that no batch takes. */
  readonly upstream: Pick<Upstream, 'load'>
}

interface Waiting {
  readonly query: Query
  readonly deadlineMs: number
  readonly outcome: PromiseWithResolvers<Outcome>
}

/** What IPinfo takes in one batch. */
const maxItems = 1000

/**
 * Lets single queries that come within a few milliseconds of each other leave as one upstream batch. Each has been
 * coalesced before: no two are the same, here or in the fleet.
 */
export class MicroBatcher {
  readonly #windowMs: number
  readonly #loader: BatchLoader
  readonly #upstream: Pick<Upstream, 'load'>
  #waiting: Waiting[] = []
  #timer: NodeJS.Timeout | undefined

  constructor({ windowMs, loader, upstream }: MicroBatcherDeps) {
    this.#windowMs = windowMs
    this.#loader = loader
    this.#upstream = upstream
  }

  /** @param deadlineMs monotonic; that of the batch is the earliest of its queries' */
  load(query: Query, deadlineMs: number): Promise<Outcome> {
    if (!fitsBatch(query)) return this.#loadOne(query, deadlineMs)
    const outcome = Promise.withResolvers<Outcome>()
    this.#waiting.push({ query, deadlineMs, outcome })
    if (this.#waiting.length >= maxItems) this.#leave()
    else this.#timer ??= setTimeout(() => this.#leave(), this.#windowMs)
    return outcome.promise
  }

  #loadOne(query: Query, deadlineMs: number): Promise<Outcome> {
    return this.#upstream.load(requestOf(query), deadlineMs)
  }

  #leave(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const together = this.#waiting
    this.#waiting = []
    const [first] = together
    if (first && together.length === 1) first.outcome.resolve(this.#loadOne(first.query, first.deadlineMs))
    else void this.#loadTogether(together)
  }

  async #loadTogether(together: readonly Waiting[]): Promise<void> {
    // A purge may let the same query be asked anew while the one before it is still waiting.
    const byTarget = Map.groupBy(together, ({ query }) => query.target)
    const queries = [...byTarget.values()].flatMap(([first]) => (first ? [first.query] : []))
    const deadlineMs = Math.min(...together.map((one) => one.deadlineMs))
    try {
      await this.#loader.load(queries, { deadlineMs }, async (outcomes) => {
        for (const [target, outcome] of outcomes) {
          for (const waiting of byTarget.get(target) ?? []) {
            waiting.outcome.resolve(isMissing(outcome) ? this.#loadOne(waiting.query, waiting.deadlineMs) : outcome)
          }
        }
      })
    } catch (error) {
      for (const { outcome } of together) outcome.reject(error)
    }
  }
}

/** In a batch a record that is missing is an empty string; alone, the query has another answer. */
function isMissing(outcome: Outcome): boolean {
  return outcome.kind === 'answer' && outcome.answer.status === 200 && !outcome.answer.contentType.includes('json')
}

/** Records of addresses, networks and the like; not what only upstream understands, nor what has parameters. */
function fitsBatch({ target, expected }: Query): boolean {
  return expected === 'json' && !target.includes('?') && !target.startsWith('/whois/')
}
