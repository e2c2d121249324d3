import type { Clock } from '@ipfleet/clock/clock.ts'
import { type Bench, type BenchReason, type KeyState, type KeyStore, maxStrikes, type Taken } from './key-store.ts'

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
  // Replicas that start together should not all begin with the first key.
  #cursor = Math.floor(Math.random() * 1000)

  /** `trialMs`: how long a trial may take before the next request may try the key. */
  constructor(clock: Clock, { trialMs }: { trialMs: number }) {
    this.#clock = clock
    this.#trialMs = trialMs
  }

  async take(ids: readonly string[]): Promise<Taken> {
    const nowMs = this.#clock.nowMs()
    const available = ids.filter((id) => this.#unavailableForMs(id, nowMs) <= 0)
    const id = available[this.#cursor++ % available.length]
    if (id === undefined) return this.#none(ids, nowMs)
    const benched = this.#benched.get(id)
    if (benched) benched.trialUntilMs = nowMs + this.#trialMs
    return { kind: 'key', id, trial: benched !== undefined }
  }

  async bench({ id, reason, durationMs, doublingUpToMs }: Bench): Promise<number> {
    const nowMs = this.#clock.nowMs()
    const before = this.#benched.get(id)
    const still = before !== undefined && before.untilMs > nowMs
    // Requests that were under way together report the same limit: one strike.
    const strikes = Math.min((before?.strikes ?? 0) + (still ? 0 : 1), maxStrikes)
    const forMs = doublingUpToMs === undefined ? durationMs : Math.min(durationMs * 2 ** (strikes - 1), doublingUpToMs)
    const untilMs = Math.max(before?.untilMs ?? 0, nowMs + forMs)
    this.#benched.set(id, { reason, strikes, untilMs, trialUntilMs: 0 })
    return untilMs - nowMs
  }

  async endTrial(id: string, result: 'recovered' | 'unknown'): Promise<void> {
    const benched = this.#benched.get(id)
    if (!benched || benched.untilMs > this.#clock.nowMs()) return
    if (result === 'recovered') this.#benched.delete(id)
    else benched.trialUntilMs = 0
  }

  async read(ids: readonly string[]): Promise<KeyState[]> {
    return ids.map((id) => this.#state(id))
  }

  /** Benches that still run, for handing them on. */
  running(): { id: string; reason: BenchReason; remainingMs: number }[] {
    const nowMs = this.#clock.nowMs()
    return [...this.#benched]
      .map(([id, { reason, untilMs }]) => ({ id, reason, remainingMs: untilMs - nowMs }))
      .filter(({ remainingMs }) => remainingMs > 0)
  }

  #state(id: string): KeyState {
    const benched = this.#benched.get(id)
    if (!benched) return { id, state: 'active' }
    const { reason, untilMs } = benched
    const remainingMs = untilMs - this.#clock.nowMs()
    return remainingMs > 0 ? { id, state: 'cooling', reason, remainingMs } : { id, state: 'trial', reason }
  }

  #unavailableForMs(id: string, nowMs: number): number {
    const benched = this.#benched.get(id)
    return benched ? Math.max(benched.untilMs, benched.trialUntilMs) - nowMs : 0
  }

  #none(ids: readonly string[], nowMs: number): Taken {
    if (ids.length === 0) return { kind: 'none', retryAfterMs: 0, trialUnderWay: false }
    const waits = ids.map((id) => this.#unavailableForMs(id, nowMs))
    const trialUnderWay = ids.some((id) => (this.#benched.get(id)?.trialUntilMs ?? 0) > nowMs)
    return { kind: 'none', retryAfterMs: Math.min(...waits), trialUnderWay }
  }
}
