import type { IdempotencyKey, SharedCounter, Unanswered } from '@ipfleet/rate-limit/shared-counter.ts'
import type { Policy } from '@ipfleet/rate-limit/policy.ts'
import type { Decision, Spending } from '@ipfleet/rate-limit/rate-limiter.ts'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Expense } from './messages.ts'
import { within } from '@ipfleet/core/within.ts'

export interface PrimaryCounterOptions {
  /** Has the primary count; undefined when it is gone. */
  readonly ask: (expenses: readonly Expense[]) => Promise<readonly Decision[] | undefined>
  /**
   * A primary that takes longer is not waited for. Default 500: with 100, a primary that waited for the processor of a
   * busy machine was taken for silent, and the workers' shares came on top of what it had let through (14 of 10).
   */
  readonly answerWithinMs?: number
}

interface Entry extends Expense {
  readonly resolve: (decision: Decision | undefined) => void
}

const nothingCame: Unanswered = { kind: 'unanswered', mayBeCounted: true }

/**
 * The primary process counts for all its workers. What comes up within one turn of the event loop travels as one
 * message. Once an answer is late no further one is asked for until it has come: then the primary runs again.
 */
export class PrimaryCounter implements SharedCounter {
  readonly #ask: PrimaryCounterOptions['ask']
  readonly #answerWithinMs: number
  readonly #listeners = new Set<() => void>()
  /** Charges that the primary will count and has not confirmed yet, by subject. */
  readonly #charges = new Map<string, Promise<Decision | undefined>>()
  #batch: Entry[] = []
  #up = true

  constructor({ ask, answerWithinMs = 500 }: PrimaryCounterOptions) {
    this.#ask = ask
    this.#answerWithinMs = answerWithinMs
  }

  get up(): boolean {
    return this.#up
  }

  onUp(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  async spend(
    subject: string,
    policy: Policy,
    spending: Spending,
    key?: IdempotencyKey,
  ): Promise<Decision | Unanswered> {
    const expense = { subject, policy, spending }
    const counted = key === undefined ? this.#count(expense) : this.#countOnce(expense)
    // After the loop has polled once more: a worker that waited for the processor has its answer in the channel.
    const decision = (await within(this.#answerWithinMs, counted)) ?? (await Promise.race([counted, nextTurn()]))
    if (decision !== undefined) return decision
    this.#up = false
    return nothingCame
  }

  /** What has been sent arrives as long as the primary lives, so that a repeated charge only waits once more. */
  #countOnce(expense: Expense): Promise<Decision | undefined> {
    const { subject } = expense
    const count = (): Promise<Decision | undefined> => this.#count(expense).finally(() => this.#charges.delete(subject))
    return this.#charges.getOrInsertComputed(subject, count)
  }

  #count(expense: Expense): Promise<Decision | undefined> {
    const { promise, resolve } = Promise.withResolvers<Decision | undefined>()
    if (this.#batch.length === 0) setImmediate(() => void this.#sendBatch())
    this.#batch.push({ ...expense, resolve })
    return promise
  }

  async #sendBatch(): Promise<void> {
    const batch = this.#batch
    this.#batch = []
    const decisions = await this.#ask(batch.map(({ subject, policy, spending }) => ({ subject, policy, spending })))
    for (const [index, { resolve }] of batch.entries()) resolve(decisions?.[index])
    if (decisions !== undefined) this.#isUp()
  }

  #isUp(): void {
    if (this.#up) return
    this.#up = true
    for (const listener of this.#listeners) listener()
  }
}
