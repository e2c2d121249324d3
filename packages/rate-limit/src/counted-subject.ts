import type { Policy } from './policy.ts'
import type { Decision, Standing } from './rate-limiter.ts'

/** A charge on its way to the shared counter; repeated under the same number until it is answered. */
export interface Report {
  readonly sequence: number
  readonly cost: number
}

/** Of all subjects: for one that was forgotten and comes back they rise too. */
let lastSequence = 0

/** What this process knows of one subject, and what of its own spending the shared counter does not know yet. */
export class CountedSubject {
  readonly name: string
  readonly policy: Policy
  report: Report | undefined
  reporting: Promise<void> | undefined
  /** Spent here, and in no report yet. */
  #spent = 0
  #known: Standing | undefined
  #knownAtMs = 0
  #overUntilMs = 0
  #overNeed = 0

  constructor(name: string, policy: Policy) {
    this.name = name
    this.policy = policy
  }

  /** What was spent here and is not confirmed. */
  get unreported(): number {
    return this.#spent + (this.report?.cost ?? 0)
  }

  spend(cost: number): void {
    this.#spent += cost
  }

  learn(decision: Decision, need: number, nowMs: number): void {
    this.#known = decision
    this.#knownAtMs = nowMs
    if (decision.kind === 'allowed') return
    this.#overUntilMs = nowMs + decision.retryAfterMs
    this.#overNeed = need
  }

  /** The refusal that is still certain, if there is one: nothing flows in before its time. */
  refusal(need: number, nowMs: number): Decision | undefined {
    const retryAfterMs = this.#overUntilMs - nowMs
    if (retryAfterMs <= 0 || need < this.#overNeed || this.#known === undefined) return undefined
    return { kind: 'limited', ...this.#standing(this.#known, nowMs), retryAfterMs: Math.ceil(retryAfterMs) }
  }

  /** What is left by what was known `withinMs` ago at most; undefined when that is too long ago. */
  standing(nowMs: number, withinMs: number): Standing | undefined {
    if (this.#known === undefined || nowMs - this.#knownAtMs > withinMs) return undefined
    return this.#standing(this.#known, nowMs)
  }

  /** What is to be reported now: what was not answered, before anything newer. Undefined when there is nothing. */
  nextReport(): Report | undefined {
    if (this.report === undefined && this.#spent > 0) {
      this.report = { sequence: ++lastSequence, cost: this.#spent }
      this.#spent = 0
    }
    return this.report
  }

  #standing({ limit, remaining, resetMs }: Standing, nowMs: number): Standing {
    return {
      limit,
      remaining: Math.max(0, remaining - this.unreported),
      resetMs: Math.max(0, resetMs - (nowMs - this.#knownAtMs)),
    }
  }
}
