import { exponentialMs } from '@ipfleet/core/backoff.ts'
import type { Clock } from '@ipfleet/core/clock.ts'
import type { Weighted } from '@ipfleet/core/weighted-turns.ts'
import { type Bench, type BenchReason, type Lesson, maxStrikes, scopeOf } from './key-store.ts'

interface Benched {
  readonly reason: BenchReason
  readonly status: number | undefined
  readonly strikes: number
  readonly untilMs: number
}

interface Learnt {
  readonly untilMs: number
  readonly richness: number | undefined
}

/** What this process knows of a key, or of a key for one product, besides its quota. */
export class KeyScope implements Weighted {
  readonly name: string
  readonly id: string
  readonly product: string | undefined
  /** Replicas that start together should not all begin with the first key. */
  turn = Math.random()
  effectiveWeight = 1
  readonly #clock: Clock
  /** Undefined after a success. */
  #bench: Benched | undefined
  #trialUntilMs = 0
  #learnt: Learnt | undefined
  #learningUntilMs = 0

  constructor(clock: Clock, id: string, product?: string) {
    this.#clock = clock
    this.name = scopeOf(id, product)
    this.id = id
    this.product = product
  }

  get reason(): BenchReason | undefined {
    return this.#bench?.reason
  }

  get strikes(): number {
    return this.#bench?.strikes ?? 0
  }

  /** How long it is still benched; 0 or less: it is not. */
  get benchMs(): number {
    return (this.#bench?.untilMs ?? 0) - this.#clock.nowMs()
  }

  /** How long a trial may still take. */
  get trialMs(): number {
    return this.#trialUntilMs - this.#clock.nowMs()
  }

  /** How long a request may still take that finds out whether the key may ask the product. */
  get learningMs(): number {
    return this.#learningUntilMs - this.#clock.nowMs()
  }

  /** The status of a refusal that still counts. */
  get deniedStatus(): number | undefined {
    return this.reason === 'denied' && this.benchMs > 0 ? (this.#bench?.status ?? 403) : undefined
  }

  /** That the key may ask the product, and how much its records hold. Forgotten after a while, since plans change. */
  get learnt(): Learnt | undefined {
    return this.#learnt && this.#learnt.untilMs > this.#clock.nowMs() ? this.#learnt : undefined
  }

  /** The bench, for handing it on; undefined when it is over. */
  get running(): Bench | undefined {
    if (!this.#bench || this.benchMs <= 0) return undefined
    const { id, product } = this
    const { reason, status } = this.#bench
    const durationMs = this.benchMs
    return {
      id,
      ...(product !== undefined && { product }),
      reason,
      durationMs,
      ...(status !== undefined && { status }),
    }
  }

  /** The same arithmetic as bench-key.lua, where its reasons are. @param strikesOfKey those of the key as a whole */
  bench({ reason, durationMs, doublingUpToMs, status, isProvisional }: Bench, strikesOfKey: number): void {
    const before = this.#bench
    // One that is only suspected has no strike yet.
    const isRunning = this.benchMs > 0 && this.strikes > 0
    const earlier = isRunning ? this.strikes : Math.max(this.strikes, strikesOfKey)
    const strikes = Math.min(earlier + (isRunning || isProvisional ? 0 : 1), maxStrikes)
    const forMs = exponentialMs(Math.max(1, strikes), { firstMs: durationMs, maxMs: doublingUpToMs ?? durationMs })
    const untilMs = this.#clock.nowMs() + forMs
    this.#bench = before && before.untilMs >= untilMs ? { ...before, strikes } : { reason, status, strikes, untilMs }
    this.#trialUntilMs = 0
    this.#learningUntilMs = 0
  }

  release(): void {
    this.#bench = undefined
    this.#trialUntilMs = 0
  }

  /** @returns whether the request that comes now is a trial: a bench has ended, and nothing has succeeded since */
  beginTrial(forMs: number): boolean {
    // A bench that still runs, and that a request was let by, is not on trial.
    if (!this.#bench || this.benchMs > 0) return false
    this.#trialUntilMs = this.#clock.nowMs() + forMs
    return true
  }

  beginLearning(forMs: number): void {
    this.#learningUntilMs = this.#clock.nowMs() + forMs
  }

  endTrial(result: 'recovered' | 'unknown'): void {
    this.#learningUntilMs = 0
    if (this.benchMs > 0) return
    if (result === 'recovered') this.#bench = undefined
    this.#trialUntilMs = 0
  }

  /** What a bench for one of its products makes of a trial of the whole key: it showed nothing. */
  dropTrial(): void {
    this.#trialUntilMs = 0
  }

  learn({ forMs, richness }: Lesson): void {
    const before = this.learnt?.richness
    const most = richness === undefined ? before : Math.max(richness, before ?? 0)
    this.#learnt = { untilMs: this.#clock.nowMs() + forMs, richness: most }
    this.#learningUntilMs = 0
  }
}
