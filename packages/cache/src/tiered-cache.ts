import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { LocalFlight } from './flight/local-flight.ts'
import type { AnswerStore } from './answer-store.ts'
import { Entry } from './entry.ts'
import {
  asJoined,
  bestOf,
  failureOf,
  type Finding,
  type Found,
  holdMs,
  isOthersPrivate,
  isOthersReserve,
  isOutweighed,
  type IsPoorer,
  type Load,
} from './finding.ts'
import type { LruStore } from './lru-store.ts'
import type { AnswerOutcome, Outcome, SharedOutcome } from './outcome.ts'

/** One load per question in the whole fleet; see `FleetFlight`. */
export interface FleetLoad {
  /** `published`: the outcome is the fleet's own. A load whose lease was lost must not overwrite what came after. */
  run(question: string, load: Load, deadlineMs: number): Promise<Flown>
  /** The same for a refresh, which waits for nobody: undefined when someone else is at it. */
  runIfFree(question: string, load: Load): Promise<Flown | undefined>
}

interface Flown<T = SharedOutcome> {
  readonly outcome: T
  readonly led: boolean
  readonly published: boolean
  /** The lease was lost meanwhile: what someone else has loaded may be newer. */
  readonly superseded?: boolean
}

export interface TieredCacheParts {
  readonly memory: LruStore
  readonly shared: AnswerStore
  readonly flight: FleetLoad
  /** Whether an error means that Redis gave no answer, as opposed to a fault of ours. */
  readonly isAway: (error: unknown) => boolean
  /** How long past its freshness an answer beats none. */
  readonly staleForMs: number
  /** How long past its freshness an answer is served at once and refreshed meanwhile (RFC 5861 §3). */
  readonly revalidateForMs: number
  /** Whether an answer holds less than an earlier one to the same question, which then stands. Default: none does. */
  readonly isPoorer?: IsPoorer
  readonly clock?: Clock
  /** From 0 to 1, for choosing who refreshes early. */
  readonly random?: () => number
}

/** After a refresh, successful or not, a replica leaves the question alone for so long. */
const refreshPauseMs = 200

/**
 * Memory, then Redis, then one load for the fleet. The failure policy for Redis is here and nowhere else: what it
 * cannot answer counts as not found, and what it cannot coordinate is done by this process for itself.
 */
export class TieredCache {
  readonly #memory: LruStore
  readonly #shared: AnswerStore
  readonly #flight: FleetLoad
  readonly #isAway: (error: unknown) => boolean
  readonly #staleForMs: number
  readonly #revalidateForMs: number
  readonly #clock: Clock
  readonly #random: () => number
  readonly #isPoorer: IsPoorer | undefined
  readonly #refreshing = new Set<string>()
  #inFlight = new LocalFlight<Finding>()
  #purges = 0

  constructor(parts: TieredCacheParts) {
    this.#memory = parts.memory
    this.#shared = parts.shared
    this.#flight = parts.flight
    this.#isAway = parts.isAway
    this.#staleForMs = parts.staleForMs
    this.#revalidateForMs = parts.revalidateForMs
    this.#clock = parts.clock ?? monotonicClock
    this.#random = parts.random ?? Math.random
    this.#isPoorer = parts.isPoorer
  }

  /**
   * The answer to a question. Loads are not tied to the caller: they go on, and are kept, when it hangs up.
   * @param deadlineMs monotonic; after it a waiter gives up with `upstream_timeout`.
   */
  async find(question: string, load: Load, deadlineMs: number): Promise<Finding> {
    for (;;) {
      const held = this.#memory.getServable(question, this.#clock.nowMs())
      if (held) return { kind: 'found', source: 'l1', entry: held }
      const finding = await this.#join(question, () => this.#findBeyond(question, load, deadlineMs))
      if (isOthersPrivate(finding)) return this.#loadPrivately(load)
      if (!isOthersReserve(finding) || this.#clock.nowMs() >= deadlineMs) return finding
    }
  }

  /** What is in the caches and at most stale, without asking anyone else. */
  async findHeld(question: string): Promise<Found | undefined> {
    const nowMs = this.#clock.nowMs()
    const servable = this.#memory.getServable(question, nowMs)
    if (servable) return { kind: 'found', source: 'l1', entry: servable }
    const shared = await this.#lookIntoShared(question)
    const entry = bestOf(shared === 'away' ? undefined : shared, this.#memory.get(question), nowMs, this.#staleForMs)
    if (entry === undefined) return undefined
    const tier = entry === shared ? 'l2' : 'l1'
    return { kind: 'found', source: entry.freshLeftMs(nowMs) > 0 ? tier : 'stale', entry }
  }

  /** What is being found right now; for those who find many at once. */
  get inFlight(): LocalFlight<Finding> {
    return this.#inFlight
  }

  /** How often all was forgotten: what was asked for before must not be remembered after. */
  get purges(): number {
    return this.#purges
  }

  /** Keeps in memory what was made from an entry that is there (and has not been purged meanwhile). */
  rememberPart(question: string, part: Entry, whole: { readonly question: string; readonly entry: Entry }): void {
    const nowMs = this.#clock.nowMs()
    const isHeld = this.#memory.get(whole.question) === whole.entry
    if (isHeld && part.freshLeftMs(nowMs) > 0) this.#memory.set(question, part, nowMs)
  }

  /** Forgets what is in memory, and keeps what is being loaded right now from being remembered. */
  forget(): void {
    this.#purges += 1
    // Whoever asks after a purge does not join a load from before it.
    this.#inFlight = new LocalFlight()
    this.#memory.clear()
  }

  async #join(question: string, find: () => Promise<Finding>): Promise<Finding> {
    const { result, joined } = await this.#inFlight.run(question, find)
    return joined ? asJoined(result) : result
  }

  async #findBeyond(question: string, load: Load, deadlineMs: number): Promise<Finding> {
    const purges = this.#purges
    const held = this.#memory.get(question)
    const shared = await this.#lookIntoShared(question)
    const nowMs = this.#clock.nowMs()
    const best = bestOf(shared === 'away' ? undefined : shared, held, nowMs, this.#staleForMs)
    const servable = best && this.#serve(question, best, best === shared ? 'l2' : 'l1', load, purges)
    if (servable) return servable
    const startedMs = this.#clock.nowMs()
    const flown = await this.#loadOnce(question, load, deadlineMs)
    const { outcome, led } = flown
    const source = led ? 'upstream' : 'collapsed'
    const origin = led && outcome.origin ? { origin: outcome.origin } : {}
    if (outcome.kind === 'failure') {
      const stale = best?.freshness(this.#clock.nowMs(), this.#staleForMs) === 'stale' ? best : undefined
      return { kind: 'failed', source, failure: outcome, stale, ...origin }
    }
    if (best && isOutweighed(outcome, best, this.#isPoorer)) {
      await this.#hold(question, best, { ...flown, outcome }, purges)
      return { kind: 'found', source: 'stale', entry: best, ...origin }
    }
    const entry = await this.#keep(question, { ...flown, outcome }, startedMs, purges)
    return { kind: 'found', source, entry, ...origin, ...(outcome.isPrivate && { isPrivate: true }) }
  }

  /** What another client's request has found is not for this one. */
  async #loadPrivately(load: Load): Promise<Finding> {
    const outcome = await load('answer')
    const origin = outcome.origin ? { origin: outcome.origin } : {}
    if (outcome.kind === 'failure')
      return { kind: 'failed', source: 'upstream', failure: outcome, stale: undefined, ...origin }
    const entry = new Entry(outcome.answer, this.#clock.nowMs(), 0)
    return { kind: 'found', source: 'upstream', entry, ...origin, isPrivate: true }
  }

  /** An entry that can be answered with at once, perhaps while it is refreshed. */
  #serve(question: string, entry: Entry, tier: 'l1' | 'l2', load: Load, purges: number): Finding | undefined {
    const nowMs = this.#clock.nowMs()
    const isFresh = entry.freshLeftMs(nowMs) > 0
    if (entry.heldUntilMs > nowMs) return { kind: 'found', source: isFresh ? tier : 'stale', entry }
    if (isFresh) {
      if (purges === this.#purges) this.#memory.set(question, entry, nowMs)
      if (entry.isDueEarly(nowMs, this.#random())) this.#refresh(question, entry, load)
      return { kind: 'found', source: tier, entry }
    }
    if (entry.freshness(nowMs, this.#revalidateForMs) !== 'stale') return undefined
    this.#refresh(question, entry, load)
    return { kind: 'found', source: 'stale', entry }
  }

  /** Loads anew in the background, once in the fleet; whatever goes wrong, the old entry is still there. */
  #refresh(question: string, entry: Entry, load: Load): void {
    if (this.#refreshing.has(question)) return
    this.#refreshing.add(question)
    this.#loadAnew(question, entry, load, this.#purges)
      .catch(() => {})
      .finally(() => setTimeout(() => this.#refreshing.delete(question), refreshPauseMs).unref())
  }

  async #loadAnew(question: string, before: Entry, load: Load, purges: number): Promise<void> {
    const startedMs = this.#clock.nowMs()
    const flown = await this.#loadIfFree(question, load)
    if (flown?.outcome.kind !== 'answer') return
    const answered = { ...flown, outcome: flown.outcome }
    if (isOutweighed(answered.outcome, before, this.#isPoorer)) await this.#hold(question, before, answered, purges)
    else await this.#keep(question, answered, startedMs, purges)
  }

  async #loadIfFree(question: string, load: Load): Promise<Flown | undefined> {
    try {
      return await this.#flight.runIfFree(question, load)
    } catch (error) {
      if (!this.#isAway(error)) throw error
      return { outcome: await load('refresh'), led: true, published: true }
    }
  }

  async #lookIntoShared(question: string): Promise<Entry | undefined | 'away'> {
    try {
      return await this.#shared.get(question)
    } catch (error) {
      if (this.#isAway(error)) return 'away'
      throw error
    }
  }

  async #loadOnce(question: string, load: Load, deadlineMs: number): Promise<Flown<Outcome>> {
    try {
      const flown = await this.#flight.run(question, load, deadlineMs)
      const { outcome } = flown
      if (outcome.kind !== 'unshared') return { ...flown, outcome }
    } catch (error) {
      // A waiter whose own deadline passed; it must not load freely.
      if (error instanceof ProxyError) return { outcome: failureOf(error), led: false, published: true }
      if (!this.#isAway(error)) throw error
    }
    // The fleet cannot coordinate (or share something this large): this process loads for itself, once.
    return { outcome: await load('answer'), led: true, published: true }
  }

  /** The entry of an answer that has just come, kept wherever it may be. */
  async #keep(question: string, flown: Flown<AnswerOutcome>, startedMs: number, purges: number): Promise<Entry> {
    const { outcome, led, published, superseded = false } = flown
    const nowMs = this.#clock.nowMs()
    const entry = new Entry(outcome.answer, nowMs, outcome.freshForMs, led ? nowMs - startedMs : 0)
    if (outcome.freshForMs <= 0 || superseded || purges !== this.#purges) return entry
    this.#memory.set(question, entry, nowMs)
    if (led && published) await this.#share(question, entry)
    return entry
  }

  /** Leaves a good entry where it is, for as long as the news that there is nothing would have lived. */
  async #hold(question: string, good: Entry, flown: Flown<AnswerOutcome>, purges: number): Promise<void> {
    const { outcome, led, published, superseded = false } = flown
    if (outcome.freshForMs <= 0 || superseded || purges !== this.#purges) return
    const nowMs = this.#clock.nowMs()
    good.heldUntilMs = nowMs + holdMs(outcome)
    this.#memory.set(question, good, nowMs)
    if (led && published) await this.#share(question, good)
  }

  async #share(question: string, entry: Entry): Promise<void> {
    try {
      await this.#shared.set(question, entry)
    } catch (error) {
      if (!this.#isAway(error)) throw error
    }
  }
}
