import type { Clock } from '@ipfleet/clock/clock.ts'
import {
  type Bench,
  type BenchReason,
  type KeyState,
  type KeyStore,
  maxStrikes,
  type TakeOptions,
  type Taken,
} from './key-store.ts'
import { KeyTurns } from './key-turns.ts'
import { LocalQuotas } from './local-quotas.ts'
import { type KeyQuota, type QuotaReport, shortForMs, weightsOf } from './quota.ts'

interface Benched {
  readonly reason: BenchReason
  readonly strikes: number
  readonly untilMs: number
  trialUntilMs: number
}

/** Key state of one process: all there is without Redis, and the memory of benches while Redis is away. */
export class LocalKeyStore implements KeyStore {
  readonly #clock: Clock
  readonly #trialMs: number
  /** Keys that were benched and have not succeeded since. */
  readonly #benched = new Map<string, Benched>()
  readonly #quotas: LocalQuotas
  readonly #turns = new KeyTurns()

  /** `trialMs`: how long a trial may take before the next request may try the key. */
  constructor(clock: Clock, { trialMs }: { trialMs: number }) {
    this.#clock = clock
    this.#trialMs = trialMs
    this.#quotas = new LocalQuotas(clock)
  }

  async take(ids: readonly string[], options: TakeOptions = {}): Promise<Taken> {
    const { units = 1, weights } = options
    const nowMs = this.#clock.nowMs()
    const waitsMs = ids.map((id) => this.#unavailableForMs(id, nowMs, options))
    const available = ids.filter((_, index) => (waitsMs[index] ?? 0) <= 0)
    const quotas = units === 0 ? available.map((id) => ({ id, taken: 0 })) : available.map((id) => this.#quotas.of(id))
    const id =
      available[
        this.#turns.next(
          available,
          weightsOf(quotas, (one) => weights?.get(one) ?? 1),
        )
      ]
    if (id === undefined) return this.#none(ids, waitsMs, nowMs)
    this.#quotas.spend(id, units)
    const benched = this.#benched.get(id)
    if (benched) benched.trialUntilMs = nowMs + this.#trialMs
    return { kind: 'key', id, trial: benched !== undefined }
  }

  async bench({ peers = [], ...bench }: Bench): Promise<number> {
    for (const id of peers) this.#bench({ ...bench, id })
    return this.#bench(bench)
  }

  async endTrial(id: string, result: 'recovered' | 'unknown'): Promise<void> {
    const benched = this.#benched.get(id)
    if (!benched || benched.untilMs > this.#clock.nowMs()) return
    if (result === 'recovered') this.#benched.delete(id)
    else benched.trialUntilMs = 0
  }

  async release(id: string): Promise<void> {
    this.#benched.delete(id)
    this.#quotas.forget(id)
  }

  async read(ids: readonly string[]): Promise<KeyState[]> {
    return ids.map((id) => this.#state(id))
  }

  async reportQuota(report: QuotaReport): Promise<void> {
    this.#quotas.report(report)
  }

  async quotas(ids: readonly string[]): Promise<KeyQuota[]> {
    return ids.map((id) => this.#quotas.of(id))
  }

  /** Benches that still run, for handing them on. */
  running(): { id: string; reason: BenchReason; remainingMs: number }[] {
    const nowMs = this.#clock.nowMs()
    return [...this.#benched]
      .map(([id, { reason, untilMs }]) => ({ id, reason, remainingMs: untilMs - nowMs }))
      .filter(({ remainingMs }) => remainingMs > 0)
  }

  #bench({ id, reason, durationMs, doublingUpToMs }: Omit<Bench, 'peers'>): number {
    const nowMs = this.#clock.nowMs()
    const before = this.#benched.get(id)
    const still = before !== undefined && before.untilMs > nowMs
    // Requests that were under way together report the same limit: one strike.
    const strikes = Math.min((before?.strikes ?? 0) + (still ? 0 : 1), maxStrikes)
    const forMs = doublingUpToMs === undefined ? durationMs : Math.min(durationMs * 2 ** (strikes - 1), doublingUpToMs)
    const beforeMs = before?.untilMs ?? 0
    const untilMs = Math.max(beforeMs, nowMs + forMs)
    // The reason is that of the bench which lasts longest.
    const lasting = before && beforeMs >= nowMs + forMs ? before.reason : reason
    this.#benched.set(id, { reason: lasting, strikes, untilMs, trialUntilMs: 0 })
    return untilMs - nowMs
  }

  #state(id: string): KeyState {
    const benched = this.#benched.get(id)
    const benchMs = benched === undefined ? 0 : benched.untilMs - this.#clock.nowMs()
    if (benched && benchMs > 0) return { id, state: 'cooling', reason: benched.reason, remainingMs: benchMs }
    const emptyMs = shortForMs(this.#quotas.of(id), 1, 0)
    if (emptyMs > 0) return { id, state: 'cooling', reason: 'exhausted', remainingMs: emptyMs }
    return benched ? { id, state: 'trial', reason: benched.reason } : { id, state: 'active' }
  }

  #unavailableForMs(id: string, nowMs: number, { units = 1, reserveShare = 0 }: TakeOptions): number {
    const benched = this.#benched.get(id)
    const benchMs = benched ? Math.max(benched.untilMs, benched.trialUntilMs) - nowMs : 0
    return Math.max(benchMs, shortForMs(this.#quotas.of(id), units, reserveShare))
  }

  #none(ids: readonly string[], waitsMs: readonly number[], nowMs: number): Taken {
    const trialUnderWay = ids.some((id) => (this.#benched.get(id)?.trialUntilMs ?? 0) > nowMs)
    return { kind: 'none', retryAfterMs: ids.length === 0 ? 0 : Math.min(...waitsMs), trialUnderWay }
  }
}
