import { EventEmitter } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Clock, monotonicClock } from '@ipfleet/clock/clock.ts'
import type { ApiKey } from './api-key.ts'
import { type BenchTimes, limitedFor, quarantineFor } from './bench-times.ts'
import type { BenchReason, KeyState, KeyStore } from './key-store.ts'

/** The right to send one request with a key. Every ticket is settled once: answered, limited, denied or unsettled. */
export interface Ticket {
  readonly kind: 'ticket'
  readonly key: ApiKey
  readonly trial: boolean
}

/** Every key is benched (or was tried in this request); the earliest is back after this. */
export interface Exhausted {
  readonly kind: 'exhausted'
  readonly retryAfterMs: number
}

interface KeyPoolEvents {
  benched: [id: string, reason: BenchReason, durationMs: number]
  recovered: [id: string]
}

/** How long a request waits for the trial of a key that may be the only one. */
const trialPatienceMs = 2000
const trialPollMs = { least: 30, most: 90 }
/** A key that answered someone this recently is not to blame for a refusal that only it has met. */
const provenForMs = 60_000

/** The fleet's keys, used in turn. A key that is over its limit or refused is benched for everyone. */
export class KeyPool extends EventEmitter<KeyPoolEvents> {
  readonly #keys: ReadonlyMap<string, ApiKey>
  readonly #ids: readonly string[]
  readonly #store: KeyStore
  readonly #times: BenchTimes
  readonly #clock: Clock
  readonly #lastAnswerMs = new Map<string, number>()

  constructor(keys: readonly ApiKey[], store: KeyStore, times: BenchTimes, clock: Clock = monotonicClock) {
    super()
    this.#keys = new Map(keys.map((key) => [key.id, key]))
    this.#ids = [...this.#keys.keys()]
    this.#store = store
    this.#times = times
    this.#clock = clock
  }

  get size(): number {
    return this.#ids.length
  }

  /**
   * The key whose turn it is, leaving out those already tried for this request. When the only key left is on trial
   * with another request, waits a little for how that ends, within the deadline (monotonic).
   */
  async take(tried: ReadonlySet<string>, deadlineMs: number): Promise<Ticket | Exhausted> {
    const ids = tried.size === 0 ? this.#ids : this.#ids.filter((id) => !tried.has(id))
    const patientUntilMs = Math.min(deadlineMs, this.#clock.nowMs() + trialPatienceMs)
    while (ids.length > 0) {
      const taken = await this.#store.take(ids)
      if (taken.kind === 'key') {
        return { kind: 'ticket', key: this.#keys.get(taken.id) as ApiKey, trial: taken.trial }
      }
      const patienceMs = patientUntilMs - this.#clock.nowMs()
      if (!taken.trialUnderWay || patienceMs <= 0) break
      const pollMs = trialPollMs.least + Math.random() * (trialPollMs.most - trialPollMs.least)
      await sleep(Math.min(pollMs, patienceMs))
    }
    return { kind: 'exhausted', retryAfterMs: await this.#earliestReturnMs() }
  }

  /** Upstream answered: the key is good. */
  async answered({ key, trial }: Ticket): Promise<void> {
    this.#lastAnswerMs.set(key.id, this.#clock.nowMs())
    if (!trial) return
    await this.#store.endTrial(key.id, 'recovered')
    this.emit('recovered', key.id)
  }

  /** Nothing was learnt about the key: upstream failed, or someone else is to blame. */
  async unsettled({ key, trial }: Ticket): Promise<void> {
    if (trial) await this.#store.endTrial(key.id, 'unknown')
  }

  /** 429: the key rests for as long as upstream says, else for the cooldown. */
  limited(ticket: Ticket, retryAfterSeconds: number | undefined): Promise<void> {
    return this.#bench(ticket, 'limited', limitedFor(this.#times, retryAfterSeconds))
  }

  /** Upstream does not accept the key: quarantine. */
  denied(ticket: Ticket): Promise<void> {
    return this.#bench(ticket, 'denied', quarantineFor(this.#times))
  }

  /** Whether the key has answered someone lately (as far as this replica knows). */
  isProven({ key }: Ticket): boolean {
    const lastMs = this.#lastAnswerMs.get(key.id)
    return lastMs !== undefined && this.#clock.nowMs() - lastMs < provenForMs
  }

  read(): Promise<KeyState[]> {
    return this.#store.read(this.#ids)
  }

  async #bench({ key }: Ticket, reason: BenchReason, duration: { durationMs: number; doublingUpToMs?: number }) {
    this.emit('benched', key.id, reason, await this.#store.bench({ id: key.id, reason, ...duration }))
  }

  async #earliestReturnMs(): Promise<number> {
    const states = await this.read()
    return Math.min(...states.map(({ remainingMs = 0 }) => remainingMs))
  }
}
