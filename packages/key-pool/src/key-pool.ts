import { EventEmitter } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Clock, monotonicClock } from '@ipfleet/clock/clock.ts'
import type { ApiKey } from './api-key.ts'
import { type BenchTimes, exhaustedFor, limitedFor, quarantineFor } from './bench-times.ts'
import { KeyRing } from './key-ring.ts'
import type { BenchReason, KeyState, KeyStore, TakeOptions } from './key-store.ts'
import { type KeyQuota, type Quota, shortForMs } from './quota.ts'

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

/** The rate-limit fields of one reply. */
export interface SeenQuota {
  readonly remaining: number
  readonly limit?: number
  readonly resetSeconds?: number
}

/** What a request costs, and how dearly. */
export type TakeCost = Pick<TakeOptions, 'units' | 'reserveShare'>

interface KeyPoolEvents {
  benched: [id: string, reason: BenchReason, durationMs: number]
  recovered: [id: string]
  /** An operator has ended its bench, or its quota turned out to be full again. */
  released: [id: string]
  /** A 429 that did not say for how long: perhaps its quota is gone. */
  unexplained: [id: string]
  /** There are other keys now. */
  replaced: [added: readonly string[], removed: readonly string[]]
}

/** How long a request waits for the trial of a key that may be the only one. */
const trialPatienceMs = 2000
const trialPollMs = { least: 30, most: 90 }
/** A key that answered someone this recently is not to blame for a refusal that only it has met. */
const provenForMs = 60_000
/** Of its limit; a key with less left that meets a 429 has met the end of its quota rather than a burst limit. */
const nearlyEmptyShare = 0.01
/** A reply's count is begun anew that often: what was counted on top of it goes wrong by calls that upstream lost. */
const replyBelievedMs = 60_000

/** The fleet's keys, used in turn. A key that is over its limit or refused is benched for everyone. */
export class KeyPool extends EventEmitter<KeyPoolEvents> {
  #ring: KeyRing
  readonly #store: KeyStore
  readonly #times: BenchTimes
  readonly #clock: Clock
  readonly #lastAnswerMs = new Map<string, number>()

  constructor(keys: readonly ApiKey[], store: KeyStore, times: BenchTimes, clock: Clock = monotonicClock) {
    super()
    this.#ring = new KeyRing(keys)
    this.#store = store
    this.#times = times
    this.#clock = clock
  }

  get size(): number {
    return this.#ring.ids.length
  }

  get keys(): readonly ApiKey[] {
    return this.#ring.keys
  }

  /** Other keys from now on. Requests under way finish with those that they carry. */
  replace(keys: readonly ApiKey[]): void {
    const before = this.#ring
    this.#ring = new KeyRing(keys)
    const added = this.#ring.ids.filter((id) => !before.get(id))
    const removed = before.ids.filter((id) => !this.#ring.get(id))
    this.emit('replaced', added, removed)
  }

  /**
   * The key whose turn it is, leaving out those already tried for this request. When the only key left is on trial
   * with another request, waits a little for how that ends, within the deadline (monotonic).
   */
  async take(tried: ReadonlySet<string>, deadlineMs: number, cost: TakeCost = {}): Promise<Ticket | Exhausted> {
    const ring = this.#ring
    const ids = tried.size === 0 ? ring.ids : ring.ids.filter((id) => !tried.has(id))
    const patientUntilMs = Math.min(deadlineMs, this.#clock.nowMs() + trialPatienceMs)
    while (ids.length > 0) {
      const taken = await this.#store.take(ids, { ...cost, weights: ring.weights })
      if (taken.kind === 'key') return { kind: 'ticket', key: ring.get(taken.id) as ApiKey, trial: taken.trial }
      const patienceMs = patientUntilMs - this.#clock.nowMs()
      if (!taken.trialUnderWay || patienceMs <= 0) break
      const pollMs = trialPollMs.least + Math.random() * (trialPollMs.most - trialPollMs.least)
      await sleep(Math.min(pollMs, patienceMs))
    }
    return { kind: 'exhausted', retryAfterMs: await this.earliestReturnMs(cost) }
  }

  /** How long until the first of all keys may be used again; 0 when one may be now. */
  async earliestReturnMs({ units = 1, reserveShare = 0 }: TakeCost): Promise<number> {
    const [states, quotas] = await Promise.all([this.read(), this.quotas()])
    const waitsMs = states.map(({ id, remainingMs = 0 }) => {
      const quota = quotas.find((one) => one.id === id)
      return Math.max(remainingMs, quota ? shortForMs(quota, units, reserveShare) : 0)
    })
    return Math.min(...waitsMs)
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

  /**
   * 429: the key rests for as long as upstream says, until its quota is full again if that is known to be gone, else
   * for the cooldown.
   */
  async limited({ key }: Ticket, retryAfterSeconds: number | undefined, seen?: SeenQuota): Promise<void> {
    const seenSeconds = seen !== undefined && seen.remaining < 1 ? seen.resetSeconds : undefined
    const saidSeconds = retryAfterSeconds ?? seenSeconds
    if (saidSeconds !== undefined) return this.#bench(key, 'limited', limitedFor(this.#times, saidSeconds))
    const emptyMs = await this.#emptyForMs(key.id)
    if (emptyMs === undefined) await this.#bench(key, 'limited', limitedFor(this.#times, undefined))
    else await this.#bench(key, 'exhausted', exhaustedFor(emptyMs))
    this.emit('unexplained', key.id)
  }

  /** Upstream does not accept the key: quarantine. */
  denied({ key }: Ticket): Promise<void> {
    return this.#bench(key, 'denied', quarantineFor(this.#times))
  }

  /** Its quota is gone: the key rests until that is full again. */
  async exhausted(id: string, resetMs: number): Promise<void> {
    const key = this.#ring.get(id)
    if (key) await this.#bench(key, 'exhausted', exhaustedFor(resetMs))
  }

  /** An operator benches a key; not its peers. Returns how long it is benched from now, in milliseconds. */
  async rest(id: string, durationMs: number): Promise<number> {
    const forMs = await this.#store.bench({ id, reason: 'operator', durationMs })
    this.emit('benched', id, 'operator', forMs)
    return forMs
  }

  /** The key may be used again at once, whatever kept it from that. */
  async release(id: string): Promise<void> {
    await this.#store.release(id)
    this.emit('released', id)
  }

  /** Upstream's reply said what is left. Nobody waits for this to be noted. */
  noteQuota({ key }: Ticket, { resetSeconds, ...seen }: SeenQuota): void {
    const resetMs = resetSeconds === undefined ? replyBelievedMs : resetSeconds * 1000
    const believedMs = seen.remaining < 1 ? exhaustedFor(resetMs).durationMs : Math.min(resetMs, replyBelievedMs)
    this.#store.reportQuota({ id: key.id, source: 'reply', ...seen, resetMs: believedMs }).catch(() => {
      // The next reply tells it again.
    })
  }

  /** What the key's account says. `takenBefore`: see QuotaReport. */
  noteAccount(id: string, quota: Quota, takenBefore: number): Promise<void> {
    return this.#store.reportQuota({ id, source: 'account', ...quota, takenBefore })
  }

  /** Whether the key has answered someone lately (as far as this replica knows). */
  isProven({ key }: Ticket): boolean {
    const lastMs = this.#lastAnswerMs.get(key.id)
    return lastMs !== undefined && this.#clock.nowMs() - lastMs < provenForMs
  }

  read(): Promise<KeyState[]> {
    return this.#store.read(this.#ring.ids)
  }

  quotas(): Promise<KeyQuota[]> {
    return this.#store.quotas(this.#ring.ids)
  }

  async #bench(key: ApiKey, reason: BenchReason, duration: { durationMs: number; doublingUpToMs?: number }) {
    const { id } = key
    const peers = this.#ring.peersOf(key)
    const forMs = await this.#store.bench({ id, reason, ...duration, ...(peers.length > 0 && { peers }) })
    for (const benched of [id, ...peers]) this.emit('benched', benched, reason, forMs)
  }

  /** Until its account's quota is full again, if that is (nearly) gone. */
  async #emptyForMs(id: string): Promise<number | undefined> {
    const [quota] = await this.#store.quotas([id])
    const { remaining, limit = 0, resetMs } = quota?.account ?? { remaining: Infinity, resetMs: 0 }
    return remaining <= limit * nearlyEmptyShare ? resetMs : undefined
  }
}
