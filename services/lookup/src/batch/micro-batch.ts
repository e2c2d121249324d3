import type { Outcome } from '@ipfleet/cache/outcome.ts'
import type { BatchLoader, BatchUpstream } from './batch-loader.ts'
import type { Question } from '../question.ts'

export interface MicroBatcherParts {
  /** How long a question waits for others. */
  readonly windowMs: number
  readonly loader: BatchLoader
  /** Is asked a question by itself: the only one within its window, or one that no batch takes. */
  readonly upstream: BatchUpstream
}

interface Waiting {
  readonly question: Question
  readonly deadlineMs: number
  readonly outcome: PromiseWithResolvers<Outcome>
}

/** What IPinfo takes in one batch. */
const maxItems = 1000

/**
 * Lets single questions that come within a few milliseconds of each other leave as one upstream batch. Each has been
 * coalesced before: no two are the same, here or in the fleet.
 */
export class MicroBatcher {
  readonly #windowMs: number
  readonly #loader: BatchLoader
  readonly #upstream: BatchUpstream
  #waiting: Waiting[] = []
  #timer: NodeJS.Timeout | undefined

  constructor({ windowMs, loader, upstream }: MicroBatcherParts) {
    this.#windowMs = windowMs
    this.#loader = loader
    this.#upstream = upstream
  }

  /** @param deadlineMs monotonic; that of the batch is the earliest of its questions' */
  load(question: Question, deadlineMs: number): Promise<Outcome> {
    if (!fitsBatch(question)) return this.#loadOne(question, deadlineMs)
    const outcome = Promise.withResolvers<Outcome>()
    this.#waiting.push({ question, deadlineMs, outcome })
    if (this.#waiting.length >= maxItems) this.#leave()
    else this.#timer ??= setTimeout(() => this.#leave(), this.#windowMs)
    return outcome.promise
  }

  #loadOne({ surface, target, expected }: Question, deadlineMs: number): Promise<Outcome> {
    return this.#upstream.load({ method: 'GET', surface, path: target, expected }, deadlineMs)
  }

  #leave(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const together = this.#waiting
    this.#waiting = []
    const [first] = together
    if (first && together.length === 1) first.outcome.resolve(this.#loadOne(first.question, first.deadlineMs))
    else void this.#loadTogether(together)
  }

  async #loadTogether(together: readonly Waiting[]): Promise<void> {
    // A purge may let the same question be asked anew while the one before it is still waiting.
    const byTarget = Map.groupBy(together, ({ question }) => question.target)
    const questions = [...byTarget.values()].flatMap(([first]) => (first ? [first.question] : []))
    const deadlineMs = Math.min(...together.map((one) => one.deadlineMs))
    try {
      await this.#loader.load(questions, { deadlineMs }, async (outcomes) => {
        for (const [target, outcome] of outcomes) {
          for (const waiting of byTarget.get(target) ?? []) {
            waiting.outcome.resolve(isMissing(outcome) ? this.#loadOne(waiting.question, waiting.deadlineMs) : outcome)
          }
        }
      })
    } catch (error) {
      for (const { outcome } of together) outcome.reject(error)
    }
  }
}

/** In a batch a record that is missing is an empty string; alone, the question has another answer. */
function isMissing(outcome: Outcome): boolean {
  return outcome.kind === 'answer' && outcome.answer.status === 200 && !outcome.answer.contentType.includes('json')
}

/** Records of addresses, networks and the like; not what only upstream understands, nor what has parameters. */
function fitsBatch({ target, expected }: Question): boolean {
  return expected === 'json' && !target.includes('?') && !target.startsWith('/whois/')
}
