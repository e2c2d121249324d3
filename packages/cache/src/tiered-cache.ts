import { type Clock, monotonicClock } from '@ipfleet/clock/clock.ts'
import { ProxyError } from '@ipfleet/errors/proxy-error.ts'
import { LocalFlight } from '@ipfleet/flight/local-flight.ts'
import type { AnswerStore } from './answer-store.ts'
import { type Answer, Entry } from './entry.ts'
import type { LruStore } from './lru-store.ts'
import type { AnswerOutcome, Failure, Origin, Outcome, SharedOutcome } from './outcome.ts'

/**
 * Where an answer came from: memory, Redis, a load of this request, a load that another request had begun, or either
 * tier past its freshness.
 */
export type Source = 'l1' | 'l2' | 'upstream' | 'collapsed' | 'stale'

export interface Found {
  readonly kind: 'found'
  readonly source: Source
  readonly entry: Entry
  readonly origin?: Origin
  /** For the client alone whose request found it. */
  readonly isPrivate?: true
}

export type Finding =
  | Found
  | {
      readonly kind: 'failed'
      readonly source: 'upstream' | 'collapsed'
      readonly failure: Failure
      /** The last good answer, if it is not too old to be of use. */
      readonly stale: Entry | undefined
      readonly origin?: Origin
    }

/** `refresh`: someone already has an answer, so this load may be left undone. */
export type LoadPurpose = 'answer' | 'refresh'
export type Load = (purpose: LoadPurpose) => Promise<Outcome>

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

export type IsPoorer = (answer: Answer, before: Answer) => boolean

/** How long an answer that holds more stands for a poorer one before that is asked for again. */
const maxHoldMs = 60_000

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

/** What whoever else was finding it has found. */
export function asJoined(finding: Finding): Finding {
  return finding.source === 'upstream' ? { ...finding, source: 'collapsed' } : finding
}

/** Somebody else's load left the keys a reserve: perhaps not this one's, and it has to ask itself. */
export function isOthersReserve(finding: Finding | undefined): boolean {
  return finding?.kind === 'failed' && finding.source === 'collapsed' && finding.failure.sparesReserve === true
}

/** Somebody else's load brought what is for its own client. */
export function isOthersPrivate(finding: Finding | undefined): boolean {
  return finding?.kind === 'found' && finding.source === 'collapsed' && finding.isPrivate === true
}

/** Of two that are not dead the one that says something; of two such, the one that was stored later. */
export function bestOf(
  one: Entry | undefined,
  other: Entry | undefined,
  nowMs: number,
  staleForMs: number,
): Entry | undefined {
  const living = [one, other].filter((entry) => entry !== undefined && entry.freshness(nowMs, staleForMs) !== 'dead')
  const [first, second] = living
  if (first === undefined || second === undefined) return first
  if (first.isNegative !== second.isNegative) return first.isNegative ? second : first
  return first.storedAtMs > second.storedAtMs ? first : second
}

/** Upstream says that there is nothing, or nothing for us, where there was something before, or less than before. */
export function isOutweighed({ answer }: AnswerOutcome, before: Entry, isPoorer?: IsPoorer): boolean {
  if (before.isNegative) return false
  return answer.status >= 400 || isPoorer?.(answer, before.passingAnswer) === true
}

/** For how long a good entry stands for what outweighs nothing. */
export function holdMs({ answer, freshForMs }: AnswerOutcome): number {
  return answer.status >= 400 ? freshForMs : Math.min(freshForMs, maxHoldMs)
}

/** The failure that was thrown, as an outcome. */
export function failureOf({ code, detail, retryAfterSeconds }: ProxyError): Failure {
  return {
    kind: 'failure',
    code,
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    ...(detail === undefined ? {} : { detail }),
  }
}
