import { randomUUID } from 'node:crypto'
import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'
import { FleetAccount } from './fleet-account.ts'
import type { Ledger } from './ledger.ts'
import { LocalRateLimiter } from './local-rate-limiter.ts'
import { limitOf, type Policy, shareOf } from './policy.ts'
import { charging, checking, type Decision, type PromptRateLimiter, type Spending, taking } from './rate-limiter.ts'

export interface LedgerRateLimiterOptions {
  /** How many processes share the limits: while the ledger is away each keeps to its part. */
  readonly members: () => number
  /**
   * The part of what is left that this process may let through before it asks the fleet. 0 (default) asks for each
   * request, so that the limit is exact. With a part of 1/n, n processes together stay within the limit as long as
   * what they know is current; since it may be a second old, the overshoot is at most `members` × part × limit.
   */
  readonly aheadPart?: number
  readonly clock?: Clock
  /** Subjects that are remembered; beyond it those that came first are forgotten. */
  readonly maxSubjects?: number
}

const reportEveryMs = 250
const knownForMs = 1000

/**
 * Limits counted together that cost the request little: who is over is refused from memory, who is far from the limit
 * is counted here and reported a few times a second, and only in between is the ledger asked. While it is away each
 * member keeps to its share of the limit, and reports on its return what it has let through.
 */
export class LedgerRateLimiter implements PromptRateLimiter {
  readonly #ledger: Ledger
  /** What this process has let through: the share that it keeps to while the ledger is away. */
  readonly #own: LocalRateLimiter
  readonly #sender = randomUUID()
  readonly #members: () => number
  readonly #aheadPart: number
  readonly #clock: Clock
  readonly #maxSubjects: number
  readonly #accounts = new Map<string, FleetAccount>()
  readonly #owing = new Set<FleetAccount>()
  readonly #unfollow: () => void
  #timer: NodeJS.Timeout | undefined

  constructor(ledger: Ledger, options: LedgerRateLimiterOptions) {
    const { members, aheadPart = 0, clock = monotonicClock, maxSubjects = 100_000 } = options
    this.#ledger = ledger
    this.#own = new LocalRateLimiter({ clock, maxSubjects })
    this.#members = members
    this.#aheadPart = aheadPart
    this.#clock = clock
    this.#maxSubjects = maxSubjects
    this.#unfollow = ledger.onUp(() => void this.#reportAll())
  }

  takeNow(subject: string, policy: Policy, cost = 1): Decision | undefined {
    return this.#fromMemory(this.#account(subject, policy), taking(cost))
  }

  take(subject: string, policy: Policy, cost = 1): Promise<Decision> {
    return this.#decide(subject, policy, taking(cost))
  }

  check(subject: string, policy: Policy): Promise<Decision> {
    return this.#decide(subject, policy, checking)
  }

  async charge(subject: string, policy: Policy, cost: number): Promise<Decision> {
    const account = this.#account(subject, policy)
    this.#owe(account, cost)
    const own = this.#spendOwn(account, charging(cost))
    await this.#report(account)
    const standing = account.standing(this.#clock.nowMs(), knownForMs)
    return standing ? { kind: 'allowed', ...standing } : own
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer)
    this.#unfollow()
    await this.#reportAll()
    clearTimeout(this.#timer)
  }

  #fromMemory(account: FleetAccount, spending: Spending): Decision | undefined {
    const nowMs = this.#clock.nowMs()
    const need = spending.need === 'anyway' ? 0 : spending.need
    const refusal = account.refusal(need, nowMs)
    if (refusal) return refusal
    if (!this.#ledger.up) return this.#withoutLedger(account, spending)
    const standing = account.standing(nowMs, knownForMs)
    if (standing === undefined || need > this.#aheadAllowance(standing.remaining, account)) return undefined
    this.#owe(account, spending.cost)
    this.#spendOwn(account, charging(spending.cost))
    return { kind: 'allowed', ...standing, remaining: standing.remaining - spending.cost }
  }

  /** How much more may go unreported. */
  #aheadAllowance(remaining: number, { ahead, report }: FleetAccount): number {
    const unreported = ahead + (report?.cost ?? 0)
    return Math.floor((remaining + unreported) * this.#aheadPart) - unreported
  }

  async #decide(subject: string, policy: Policy, spending: Spending): Promise<Decision> {
    const account = this.#account(subject, policy)
    const known = this.#fromMemory(account, spending)
    if (known) return known
    // The ledger decides by what it knows.
    if (account.owes) await this.#report(account)
    const answer = await this.#ledger.spend(subject, policy, spending)
    // What may have been counted is not reported again.
    if (answer.kind === 'unanswered') return this.#withoutLedger(account, spending, !answer.mayBeCounted)
    account.learn(answer, spending.need === 'anyway' ? 0 : spending.need, this.#clock.nowMs())
    if (answer.kind === 'allowed') this.#spendOwn(account, charging(spending.cost))
    return answer
  }

  #withoutLedger(account: FleetAccount, spending: Spending, unknown = true): Decision {
    const decision = this.#spendOwn(account, spending)
    if (decision.kind === 'allowed' && unknown) this.#owe(account, spending.cost)
    return decision
  }

  #spendOwn({ subject, policy }: FleetAccount, spending: Spending): Decision {
    const decision = this.#own.spend(subject, shareOf(policy, this.#members()), spending)
    return { ...decision, limit: limitOf(policy) }
  }

  #account(subject: string, policy: Policy): FleetAccount {
    const held = this.#accounts.get(subject)
    if (held) return held
    const account = new FleetAccount(subject, policy)
    this.#accounts.set(subject, account)
    if (this.#accounts.size > this.#maxSubjects) {
      const [oldest] = this.#accounts.values()
      if (oldest) this.#forget(oldest)
    }
    return account
  }

  /** What a forgotten subject owes is lost too: while the ledger is away memory must not grow with the clients. */
  #forget(account: FleetAccount): void {
    this.#accounts.delete(account.subject)
    this.#owing.delete(account)
  }

  #owe(account: FleetAccount, cost: number): void {
    if (cost === 0) return
    account.ahead += cost
    this.#owing.add(account)
    this.#reportSoon()
  }

  #reportSoon(): void {
    this.#timer ??= setTimeout(() => void this.#reportAll(), reportEveryMs).unref()
  }

  async #reportAll(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    await Promise.all(Array.from(this.#owing, (account) => this.#report(account)))
  }

  /** One report of an account at a time, so that their numbers arrive in order. Never throws. */
  #report(account: FleetAccount): Promise<void> {
    account.reporting ??= this.#send(account).finally(() => {
      account.reporting = undefined
    })
    return account.reporting
  }

  async #send(account: FleetAccount): Promise<void> {
    const { subject, policy } = account
    for (let report = account.nextReport(); report; report = account.nextReport()) {
      const receipt = { sender: this.#sender, sequence: report.sequence }
      const answer = await this.#ledger.spend(subject, policy, charging(report.cost), receipt)
      if (answer.kind === 'unanswered') return this.#reportLater()
      account.report = undefined
      account.learn(answer, 0, this.#clock.nowMs())
    }
    this.#owing.delete(account)
  }

  /** It stays owed. A ledger that is away is waited for; one that missed a deadline may answer the next time. */
  #reportLater(): void {
    if (this.#ledger.up) this.#reportSoon()
  }
}
