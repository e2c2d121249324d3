import { EventEmitter } from 'node:events'
import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'
import { withoutBudget } from '@ipfleet/redis/request-budget.ts'
import type { ApiKey } from './api-key.ts'
import { type BenchTimes, exhaustedFor, nextMonthMs } from './bench-times.ts'
import { coreProduct, itemsOf, neededProducts, withCoreProduct } from './asked-product.ts'
import { KeyBenches } from './key-benches.ts'
import { KeyEvidence } from './key-evidence.ts'
import { KeyRing } from './key-ring.ts'
import type { BenchReason, KeyReturn, KeyState, KeyStore, Taken } from './key-store.ts'
import { isNearlyEmpty, type KeyQuota, type Quota } from './quota.ts'
import type { Demand, Exhausted, Limit, Scope, SeenQuota, Ticket } from './ticket.ts'
import { TrialLook, type TrialLooks } from './trial-look.ts'

interface KeyPoolEvents {
  /** `product`: for that only; undefined: as a whole. */
  benched: [id: string, reason: BenchReason, durationMs: number, product: string | undefined]
  recovered: [id: string]
  /** An operator has ended its bench, or its quota turned out to be full again. */
  released: [id: string]
  /** A 429 that did not say for how long: perhaps its quota is gone. */
  unexplained: [id: string]
  /** Units beyond what the key's plan pays for. */
  overage: [id: string, units: number]
  /** There are other keys now. */
  replaced: [added: readonly string[], removed: readonly string[]]
}

/** How long a request waits for the trial of a key that may be the only one. */
const maxTrialWaitMs = 2000
/** A reply's count is begun anew that often: what was counted on top of it goes wrong by calls that upstream lost. */
const replyBelievedMs = 60_000
/** That a key may ask a product is asked anew after so long: plans are changed. */
const lessonMs = 86_400_000

/** The fleet's keys, used in turn. A key that is over its limit or refused is benched for everyone, for what it was. */
export class KeyPool extends EventEmitter<KeyPoolEvents> {
  #ring: KeyRing
  readonly #store: KeyStore
  readonly #clock: Clock
  readonly #epochMs: () => number
  readonly #benches: KeyBenches
  readonly #evidence: KeyEvidence
  /** Products whose full records hold more with some keys than with others. */
  readonly #mixed = new Set<string>()
  readonly #looks: TrialLooks = new Map()

  constructor(
    keys: readonly ApiKey[],
    store: KeyStore,
    times: BenchTimes,
    clock: Clock = monotonicClock,
    epochMs: () => number = Date.now,
  ) {
    super()
    this.#ring = new KeyRing(keys)
    this.#store = store
    this.#clock = clock
    this.#epochMs = epochMs
    this.#evidence = new KeyEvidence(clock)
    this.#benches = new KeyBenches({
      store,
      times,
      epochMs,
      peersOf: (key) => this.#ring.peersOf(key),
      onBench: (...bench) => this.emit('benched', ...bench),
    })
  }

  get size(): number {
    return this.#ring.ids.length
  }

  get keys(): readonly ApiKey[] {
    return this.#ring.keys
  }

  /** Other keys from now on. Requests under way finish with those that they carry. */
  replace(keys: readonly ApiKey[]): void {
    const [before, after] = [this.#ring, new KeyRing(keys)]
    this.#ring = after
    const [added, removed] = [after.ids.filter((id) => !before.get(id)), before.ids.filter((id) => !after.get(id))]
    this.emit('replaced', added, removed)
  }

  /**
   * The key whose turn it is, leaving out those already tried for this request. When the only key left is on trial
   * with another request, waits a little for how that ends, within the deadline (monotonic).
   */
  async take(tried: ReadonlySet<string>, deadlineMs: number, demand: Demand = {}): Promise<Ticket | Exhausted> {
    const { product = coreProduct } = demand
    // As the keys are now: what is taken has to be among them.
    const ring = this.#ring
    const all = ring.idsFor(product)
    const ids = tried.size === 0 ? all : all.filter((id) => !tried.has(id))
    const waitUntilMs = Math.min(deadlineMs, this.#clock.nowMs() + maxTrialWaitMs)
    const options = ring.optionsFor(demand)
    let look: TrialLook | undefined
    try {
      while (ids.length > 0) {
        const waitMs = waitUntilMs - this.#clock.nowMs()
        // A request that has waited long enough for another one to learn what a key may ask finds out by itself.
        const take = (): Promise<Taken> => this.#store.take(ids, waitMs > 0 ? options : { ...options, learns: false })
        // Asking again is no wait for Redis beside the one for the trial.
        const taken = await (look ? withoutBudget(take) : take())
        if (taken.kind === 'key') return this.#ticket(taken, ring.get(taken.id) as ApiKey, demand)
        const { retryAfterMs, deniedStatus } = taken
        if (deniedStatus !== undefined && tried.size === 0) return { kind: 'exhausted', retryAfterMs, deniedStatus }
        if (!taken.trialUnderWay || waitMs <= 0) break
        // One that has tried keys waits for others than the rest do.
        look ??= new TrialLook(tried.size === 0 ? this.#looks : new Map(), product.name)
        await look.pause(waitMs)
      }
    } finally {
      look?.end()
    }
    if (all.length === 0 && this.size > 0) return { kind: 'exhausted', retryAfterMs: 0, deniedStatus: 403 }
    return { kind: 'exhausted', ...(await this.#returnOf(demand)) }
  }

  /** Upstream refused the request, and charges nothing for it. Of what is beyond the plan nothing had been left. */
  async giveBack({ key, product, overage }: Ticket, { units = 1 }: Demand): Promise<void> {
    if (units > 0 && !overage) await this.#store.giveBack(key.id, units, neededProducts(product))
  }

  /** Whether the keys' plans are known to differ in what full records of the product hold. */
  hasMixedPlans(product: string): boolean {
    return this.#mixed.has(product)
  }

  /** How long until the first of all keys may be used again; 0 when one may be now. */
  async earliestReturnMs(demand: Demand): Promise<number> {
    return (await this.#returnOf(demand)).retryAfterMs
  }

  /** Upstream answered: the key is good, and may ask this. @param richness how much its record holds, if it is one */
  async answered(ticket: Ticket, richness?: number): Promise<void> {
    const { key, product, trial, learning } = ticket
    this.#evidence.answered(ticket)
    if (trial) {
      await this.#store.endTrial(key.id, 'recovered', neededProducts(product))
      this.emit('recovered', key.id)
    }
    const isNews = richness !== undefined && (ticket.richness === undefined || richness > ticket.richness)
    if (!learning && !isNews) return
    await this.learn(key.id, itemsOf(product), richness)
  }

  /** The key may ask the product, and its records hold so much. */
  learn(id: string, product: string, richness?: number): Promise<void> {
    return this.#store.learn({ id, product, forMs: lessonMs, ...(richness !== undefined && { richness }) })
  }

  /** Nothing was learnt about the key for what else it was on trial for: upstream failed, or something else is to blame. */
  async unsettled({ key, product, trial, learning }: Ticket): Promise<void> {
    if (trial || learning) await this.#store.endTrial(key.id, 'unknown', neededProducts(product))
  }

  /**
   * 429, 402: the key rests for as long as upstream says, until its quota is full again if that is known to be gone,
   * else for the cooldown.
   */
  async limited(ticket: Ticket, limit: Limit): Promise<void> {
    if (await this.#benches.limited(ticket, limit)) this.emit('unexplained', ticket.key.id)
    await this.unsettled(ticket)
  }

  /** Whether its account has (nearly) nothing left; undefined while the account is not known. */
  async isNearlyEmpty({ key }: Ticket): Promise<boolean | undefined> {
    const [quota] = await this.#store.quotas([key.id])
    return quota?.account && isNearlyEmpty(quota.account)
  }

  /** A 429 that did not say for how long, and that may not be about the key: its account is looked at. */
  wonder({ key }: Ticket): void {
    this.emit('unexplained', key.id)
  }

  /**
   * Upstream does not accept the key, or not for this.
   * @param status what upstream answered
   * @param query that the refusal may be about instead: the key may not ask the product once two are refused
   */
  async denied(ticket: Ticket, scope: Scope, status: number, query?: string): Promise<void> {
    if (scope === 'key') await this.#benches.refused(ticket.key)
    else {
      const isCertain = query === undefined || this.#evidence.isSecondRefusal(ticket, query)
      await this.#benches.denied(ticket, status, isCertain)
    }
    await this.unsettled(ticket)
  }

  /** Its quota is gone: the key rests until that is full again. */
  async exhausted(id: string, resetMs: number): Promise<void> {
    const key = this.#ring.get(id)
    if (key && key.overage !== 'pay') await this.#benches.exhausted(key, undefined, resetMs)
  }

  /** An operator benches a key; not its peers. Returns how long it is benched from now, in milliseconds. */
  async rest(id: string, durationMs: number): Promise<number> {
    const forMs = await this.#store.bench({ id, reason: 'operator', durationMs })
    this.emit('benched', id, 'operator', forMs, undefined)
    return forMs
  }

  /** Its account has something left: the month has turned, or the operator has bought more. */
  async refilled(id: string): Promise<void> {
    const [state] = await this.#store.read([id])
    if (state?.state === 'cooling' && state.reason === 'exhausted') await this.release(id)
  }

  /** The key may be used again at once, whatever kept it from that. */
  async release(id: string): Promise<void> {
    await this.#store.release(id)
    this.emit('released', id)
  }

  /** Notes what a reply of upstream said is left. No request waits for it. */
  noteQuota({ key, product }: Ticket, { resetSeconds, ...seen }: SeenQuota): void {
    const resetMs = resetSeconds === undefined ? replyBelievedMs : resetSeconds * 1000
    const believedMs = seen.remaining < 1 ? exhaustedFor(resetMs).durationMs : Math.min(resetMs, replyBelievedMs)
    const scope = product.kind === 'tool' ? { product: product.name } : {}
    this.#store.reportQuota({ id: key.id, ...scope, source: 'reply', ...seen, resetMs: believedMs }).catch(() => {
      // The next reply tells it again.
    })
  }

  /** What the key's account says of its quota. `takenBefore`: see QuotaReport. */
  noteAccount(id: string, quota: Quota, takenBefore: number): Promise<void> {
    return this.#store.reportQuota({ id, source: 'account', ...quota, takenBefore })
  }

  /** The key's account names a limit of one product. How much of it is used it does not say: that is counted here. */
  noteProductLimit(id: string, product: string, limit: number): Promise<void> {
    const nowMs = this.#epochMs()
    const resetMs = nextMonthMs(nowMs) - nowMs
    return this.#store.reportQuota({ id, product, source: 'account', remaining: limit, limit, resetMs })
  }

  /** Whether the key has answered a request for this product lately, as far as this replica knows. */
  isProven(ticket: Ticket): boolean {
    return this.#evidence.isProven(ticket)
  }

  /**
   * A key that rests for plain look-ups is cooling, as is one that has had its units of the day; one that goes on beyond
   * its plan is not.
   */
  async read(): Promise<KeyState[]> {
    const { ids, payers, maxPerDay } = this.#ring
    return (await this.#store.read(ids, { payers, maxPerDay })).map(withCoreProduct)
  }

  quotas(): Promise<KeyQuota[]> {
    return this.#store.quotas(this.#ring.ids)
  }

  #ticket(
    taken: Extract<Taken, { kind: 'key' }>,
    key: ApiKey,
    { product = coreProduct, units = 1, prefersRich = false }: Demand,
  ): Ticket {
    const { trial, learning = false, richness, richest = 0, mixed = false, overage = false } = taken
    if (prefersRich) this.#mixed[mixed ? 'add' : 'delete'](itemsOf(product))
    if (overage) this.emit('overage', key.id, units)
    return { kind: 'ticket', key, product, trial, learning, richness, richest, ...(overage && { overage }) }
  }

  /** Of all keys that may ask the product, tried ones included. */
  #returnOf(demand: Demand): Promise<KeyReturn> {
    return this.#store.returnOf(this.#ring.idsFor(demand.product ?? coreProduct), this.#ring.optionsFor(demand))
  }
}
