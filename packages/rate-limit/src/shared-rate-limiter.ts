import { randomUUID } from 'node:crypto'
import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'
import { currentBudget, RequestBudget, withBudget, withoutBudget } from '@ipfleet/redis/request-budget.ts'
import { CountedSubject } from './counted-subject.ts'
import { LocalRateLimiter } from './local-rate-limiter.ts'
import { limitOf, type Policy, shareOf } from './policy.ts'
import { charging, checking, type Decision, type PromptRateLimiter, type Spending, taking } from './rate-limiter.ts'
import type { SharedCounter } from './shared-counter.ts'

export interface SharedRateLimiterOptions {
  /** How many processes share the limits: while the counter is away each keeps to its part. */
  readonly members: () => number
  /**
   * The part of what is left that this process may let through before it asks the counter. 0 (default) asks for each
   * request, so that the limit is exact. With a part of 1/n, n processes together stay within the limit as long as
   * what they know is current; since it may be a second old, the overshoot is at most `members` × part × limit.
   */
  readonly allowance?: number
  /** How long a decision waits for the counter in all, where the request has no budget of its own. */
  readonly budgetMs?: number
  readonly clock?: Clock
  /** Subjects that are remembered; beyond it those that came first are forgotten. */
  readonly maxSubjects?: number
}

const reportEveryMs = 250
const knownForMs = 1000

/**
 * Limits counted together that cost the request little: a subject over its limit is refused from memory, one far from it
 * is counted here and reported a few times a second, and only in between is the shared counter asked. While that is away
 * each member keeps to its share of the limit, and reports what it has let through once the counter answers again.
 */
export class SharedRateLimiter implements PromptRateLimiter {
  readonly #counter: SharedCounter
  /** What this process has let through: the share that it keeps to while the counter is away. */
  readonly #own: LocalRateLimiter
  readonly #sender = randomUUID()
  readonly #options: Required<SharedRateLimiterOptions>
  readonly #subjects = new Map<string, CountedSubject>()
  readonly #unreported = new Set<CountedSubject>()
  readonly #unfollow: () => void
  #timer: NodeJS.Timeout | undefined

  constructor(counter: SharedCounter, options: SharedRateLimiterOptions) {
    const defaults = { allowance: 0, budgetMs: Infinity, clock: monotonicClock, maxSubjects: 100_000 }
    this.#counter = counter
    this.#options = { ...defaults, ...options }
    this.#own = new LocalRateLimiter(this.#options)
    this.#unfollow = counter.onUp(() => void this.#reportAll())
  }

  takeNow(subject: string, policy: Policy, cost = 1): Decision | undefined {
    return this.#fromMemory(this.#subject(subject, policy), taking(cost))
  }

  take(subject: string, policy: Policy, cost = 1): Promise<Decision> {
    return this.#decide(subject, policy, taking(cost))
  }

  check(subject: string, policy: Policy): Promise<Decision> {
    return this.#decide(subject, policy, checking)
  }

  async charge(name: string, policy: Policy, cost: number): Promise<Decision> {
    const subject = this.#subject(name, policy)
    this.#spendUnreported(subject, cost)
    const own = this.#spendOwn(subject, charging(cost))
    await this.#report(subject)
    const standing = subject.standing(this.#options.clock.nowMs(), knownForMs)
    return standing ? { kind: 'allowed', ...standing } : own
  }

  async close(): Promise<void> {
    this.#unfollow()
    await this.#reportAll()
    clearTimeout(this.#timer)
  }

  #fromMemory(subject: CountedSubject, spending: Spending): Decision | undefined {
    const nowMs = this.#options.clock.nowMs()
    const need = needOf(spending)
    const refusal = subject.refusal(need, nowMs)
    if (refusal) return refusal
    if (!this.#counter.up) return this.#withoutCounter(subject, spending)
    const standing = subject.standing(nowMs, knownForMs)
    if (standing === undefined || need > this.#allowanceLeft(standing.remaining, subject)) return undefined
    this.#spendUnreported(subject, spending.cost)
    this.#spendOwn(subject, charging(spending.cost))
    return { kind: 'allowed', ...standing, remaining: standing.remaining - spending.cost }
  }

  /** How much more may go unreported. */
  #allowanceLeft(remaining: number, { unreported }: CountedSubject): number {
    return Math.floor((remaining + unreported) * this.#options.allowance) - unreported
  }

  async #decide(name: string, policy: Policy, spending: Spending): Promise<Decision> {
    const subject = this.#subject(name, policy)
    const known = this.#fromMemory(subject, spending)
    if (known) return known
    return withBudget(currentBudget() ?? new RequestBudget(this.#options.budgetMs), () => this.#ask(subject, spending))
  }

  async #ask(subject: CountedSubject, spending: Spending): Promise<Decision> {
    // The counter decides by what it knows.
    if (subject.unreported > 0) await this.#report(subject)
    const answer = await this.#counter.spend(subject.name, subject.policy, spending)
    // What may have been counted is not reported again.
    if (answer.kind === 'unanswered') return this.#withoutCounter(subject, spending, !answer.mayBeCounted)
    subject.learn(answer, needOf(spending), this.#options.clock.nowMs())
    if (answer.kind === 'allowed') this.#spendOwn(subject, charging(spending.cost))
    return answer
  }

  #withoutCounter(subject: CountedSubject, spending: Spending, reportLater = true): Decision {
    const decision = this.#spendOwn(subject, spending)
    if (decision.kind === 'allowed' && reportLater) this.#spendUnreported(subject, spending.cost)
    return decision
  }

  #spendOwn({ name, policy }: CountedSubject, spending: Spending): Decision {
    const decision = this.#own.spend(name, shareOf(policy, this.#options.members()), spending)
    return { ...decision, limit: limitOf(policy), isShare: true }
  }

  #subject(name: string, policy: Policy): CountedSubject {
    const held = this.#subjects.get(name)
    if (held) return held
    const subject = new CountedSubject(name, policy)
    this.#subjects.set(name, subject)
    if (this.#subjects.size > this.#options.maxSubjects) {
      const [oldest] = this.#subjects.values()
      if (oldest) this.#forget(oldest)
    }
    return subject
  }

  /** What is unreported of it is lost: while the counter is away memory must not grow with the clients. */
  #forget(subject: CountedSubject): void {
    this.#subjects.delete(subject.name)
    this.#unreported.delete(subject)
  }

  #spendUnreported(subject: CountedSubject, cost: number): void {
    if (cost === 0) return
    subject.spend(cost)
    this.#unreported.add(subject)
    this.#reportSoon()
  }

  #reportSoon(): void {
    // Not on what is left of the budget of the request that was counted first.
    const report = (): void => void withoutBudget(() => this.#reportAll())
    this.#timer ??= setTimeout(report, reportEveryMs).unref()
  }

  async #reportAll(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    await Promise.all(Array.from(this.#unreported, (subject) => this.#report(subject)))
  }

  /** One report of a subject at a time, so that their numbers arrive in order. Never throws. */
  #report(subject: CountedSubject): Promise<void> {
    subject.reporting ??= this.#send(subject).finally(() => {
      subject.reporting = undefined
    })
    return subject.reporting
  }

  async #send(subject: CountedSubject): Promise<void> {
    for (let report = subject.nextReport(); report; report = subject.nextReport()) {
      const key = { sender: this.#sender, sequence: report.sequence }
      const answer = await this.#counter.spend(subject.name, subject.policy, charging(report.cost), key)
      if (answer.kind === 'unanswered') {
        // It stays unreported. A counter that is away is waited for; one that missed a deadline may answer the next time.
        if (this.#counter.up) this.#reportSoon()
        return
      }
      subject.report = undefined
      subject.learn(answer, 0, this.#options.clock.nowMs())
    }
    this.#unreported.delete(subject)
  }
}

function needOf({ need }: Spending): number {
  return need === 'anyway' ? 0 : need
}
