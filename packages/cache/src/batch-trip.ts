import type { Clock } from '@ipfleet/core/clock.ts'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { type BatchCrew, type BatchFleetLoad, loadAlone, type Settle } from './flight/batch-flight.ts'
import type { Flown } from './flight/fleet-flight.ts'
import type { Formation, LocalFlight } from './flight/local-flight.ts'
import type { BatchStore } from './answer-store.ts'
import { Entry } from './entry.ts'
import type { LruStore } from './lru-store.ts'
import type { Outcome, SharedOutcome } from './outcome.ts'
import { bestOf, failureOf, type Finding, holdMs, type IsPoorer, isOutweighed, type LoadPurpose } from './finding.ts'
import type { TieredCache } from './tiered-cache.ts'

/** Loads many questions, and settles every one of them, in as many steps as it likes. */
export type LoadMany = (questions: readonly string[], settle: Settle<Outcome>, purpose: LoadPurpose) => Promise<void>

export interface BatchTripParts {
  /** The same as for single questions: what one of them is looking for, a batch does not look for again. */
  readonly cache: TieredCache
  readonly memory: LruStore
  readonly shared: BatchStore
  readonly flight: BatchFleetLoad<SharedOutcome>
  /** Whether an error means that Redis gave no answer, as opposed to a fault of ours. */
  readonly isAway: (error: unknown) => boolean
  /** How long past its freshness an answer beats none. */
  readonly staleForMs: number
  /** How long past its freshness an answer is served at once and refreshed meanwhile (RFC 5861 §3). */
  readonly revalidateForMs: number
  /** See `TieredCacheParts`. */
  readonly isPoorer?: IsPoorer
  readonly clock: Clock
  /** From 0 to 1, for choosing what is refreshed early. */
  readonly random: () => number
}

/** The questions of one batch that are this process's to find. */
export class BatchTrip implements BatchCrew<SharedOutcome>, Formation<Finding> {
  readonly #parts: BatchTripParts
  readonly #load: LoadMany
  readonly #remembers: boolean
  readonly #purges: number
  readonly #startedMs: number
  readonly #inFlight: LocalFlight<Finding>
  readonly #open = new Set<string>()
  readonly #found = new Map<string, Finding>()
  readonly #allFound = Promise.withResolvers<Map<string, Finding>>()
  /** For those questions that someone else waits for. */
  readonly #awaited = new Map<string, PromiseWithResolvers<Finding>>()
  readonly #loading = new Set<string>()
  /** The newest that there was to begin with. */
  readonly #best = new Map<string, Entry>()

  /** @param remembers whether memory keeps what is found */
  constructor(parts: BatchTripParts, load: LoadMany, remembers: boolean) {
    this.#parts = parts
    this.#load = load
    this.#remembers = remembers
    this.#purges = parts.cache.purges
    this.#inFlight = parts.cache.inFlight
    this.#startedMs = parts.clock.nowMs()
  }

  take(question: string): void {
    this.#open.add(question)
    this.#inFlight.begin(question, this)
  }

  result(question: string): Promise<Finding> {
    const waiting = this.#awaited.get(question) ?? Promise.withResolvers<Finding>()
    this.#awaited.set(question, waiting)
    return waiting.promise
  }

  /** The findings of all that were taken. When one of them fails, it goes on for those who wait for the others. */
  bringAll(deadlineMs: number): Promise<Map<string, Finding>> {
    void this.#bring(deadlineMs)
    return this.#allFound.promise
  }

  /** Never throws: what goes wrong is told to those who wait. */
  async #bring(deadlineMs: number): Promise<void> {
    try {
      if (this.#open.size > 0) {
        const toRefresh = this.#serve(await this.#lookIntoShared())
        if (toRefresh.length > 0) void this.#refresh(toRefresh)
      }
      if (this.#open.size > 0) await this.#fly(deadlineMs)
      else this.#allFound.resolve(this.#found)
    } catch (error) {
      this.failed([...this.#open], error)
    }
  }

  load(questions: readonly string[], settle: Settle<SharedOutcome>): Promise<void> {
    for (const question of questions) this.#loading.add(question)
    return this.#load(questions, settle, 'answer')
  }

  async landed(flown: ReadonlyMap<string, Flown<SharedOutcome>>): Promise<void> {
    const findings = new Map<string, Finding>()
    const toStore = new Map<string, Entry>()
    const unshared: string[] = []
    const nowMs = this.#parts.clock.nowMs()
    // `forEach` makes no pair of each.
    flown.forEach(({ outcome, led, published }, question) => {
      if (outcome.kind === 'unshared') return void unshared.push(question)
      const finding = this.#findingOf(question, outcome, led, nowMs)
      findings.set(question, finding)
      if (finding.kind !== 'found' || finding.entry.freshForMs <= 0 || this.#isPurged()) return
      if (this.#remembers) this.#parts.memory.set(question, finding.entry, nowMs)
      if (led && published) toStore.set(question, finding.entry)
    })
    try {
      await this.#store(toStore)
    } finally {
      findings.forEach((finding, question) => this.#answer(question, finding))
    }
    // Too large to share: this process loads them for itself.
    if (unshared.length > 0) await loadAlone(unshared, this)
  }

  failed(questions: readonly string[], error: unknown): void {
    for (const question of questions) {
      if (!this.#close(question)) continue
      this.#awaited.get(question)?.reject(error)
      this.#allFound.reject(error)
    }
  }

  async #lookIntoShared(): Promise<ReadonlyMap<string, Entry>> {
    try {
      return await this.#parts.shared.getMany([...this.#open])
    } catch (error) {
      if (this.#parts.isAway(error)) return new Map()
      throw error
    }
  }

  /** Answers what can be answered at once; gives back what of that should be loaded anew. */
  #serve(shared: ReadonlyMap<string, Entry>): string[] {
    const { memory, clock, staleForMs, revalidateForMs, random } = this.#parts
    const nowMs = clock.nowMs()
    // One draw for all, so that those which were loaded together are loaded anew together.
    const draw = random()
    const toRefresh: string[] = []
    for (const question of this.#open) {
      const stored = shared.get(question)
      const entry = bestOf(stored, memory.get(question), nowMs, staleForMs)
      if (entry === undefined) continue
      this.#best.set(question, entry)
      const isFresh = entry.freshLeftMs(nowMs) > 0
      const isHeld = entry.heldUntilMs > nowMs
      if (!isFresh && !isHeld && entry.freshness(nowMs, revalidateForMs) !== 'stale') continue
      if (isFresh && this.#remembers && !this.#isPurged()) memory.set(question, entry, nowMs)
      if (!isHeld && (!isFresh || entry.isDueEarly(nowMs, draw))) toRefresh.push(question)
      const tier = entry === stored ? 'l2' : 'l1'
      this.#answer(question, { kind: 'found', source: isFresh ? tier : 'stale', entry })
    }
    return toRefresh
  }

  /** Once in the fleet, waiting for nobody; whatever goes wrong, the old entries are still there. Never throws. */
  async #refresh(questions: readonly string[]): Promise<void> {
    const crew: BatchCrew<SharedOutcome> = {
      load: (some, settle) => this.#load(some, settle, 'refresh'),
      landed: (flown) => this.landed(flown),
      failed: () => {},
    }
    try {
      await this.#parts.flight.run(questions, crew, this.#parts.clock.nowMs())
    } catch (error) {
      // What others are loading is theirs to refresh.
      if (this.#parts.isAway(error)) await loadAlone(questions, crew)
    }
  }

  async #fly(deadlineMs: number): Promise<void> {
    try {
      await this.#parts.flight.run([...this.#open], this, deadlineMs)
    } catch (error) {
      const left = [...this.#open].filter((question) => !this.#loading.has(question))
      if (error instanceof ProxyError) {
        const nowMs = this.#parts.clock.nowMs()
        for (const question of left) this.#answer(question, this.#findingOf(question, failureOf(error), false, nowMs))
        // The fleet cannot coordinate: this process loads for itself, once.
      } else if (this.#parts.isAway(error)) await loadAlone(left, this)
      else this.failed(left, error)
    }
  }

  async #store(entries: ReadonlyMap<string, Entry>): Promise<void> {
    if (entries.size === 0) return
    try {
      await this.#parts.shared.setMany(entries)
    } catch (error) {
      if (!this.#parts.isAway(error)) throw error
    }
  }

  #findingOf(question: string, outcome: Outcome, led: boolean, nowMs: number): Finding {
    const source = led ? 'upstream' : 'collapsed'
    const origin = led && outcome.origin ? { origin: outcome.origin } : none
    if (outcome.kind === 'failure') {
      const best = this.#best.get(question)
      const stale = best?.freshness(nowMs, this.#parts.staleForMs) === 'stale' ? best : undefined
      return { kind: 'failed', source, failure: outcome, stale, ...origin }
    }
    const best = this.#best.get(question)
    if (
      best &&
      isOutweighed(outcome, best, this.#parts.isPoorer) &&
      best.freshness(nowMs, this.#parts.staleForMs) !== 'dead'
    ) {
      best.heldUntilMs = nowMs + holdMs(outcome)
      return { kind: 'found', source: 'stale', entry: best, ...origin }
    }
    const entry = new Entry(outcome.answer, nowMs, outcome.freshForMs, led ? nowMs - this.#startedMs : 0)
    return { kind: 'found', source, entry, ...origin, ...(outcome.isPrivate && { isPrivate: true }) }
  }

  #answer(question: string, finding: Finding): void {
    if (!this.#close(question)) return
    this.#found.set(question, finding)
    this.#awaited.get(question)?.resolve(finding)
    if (this.#open.size === 0) this.#allFound.resolve(this.#found)
  }

  /** Whoever comes from now on begins anew. False for what has ended before, or was not taken. */
  #close(question: string): boolean {
    if (!this.#open.delete(question)) return false
    this.#inFlight.end(question)
    return true
  }

  #isPurged(): boolean {
    return this.#parts.cache.purges !== this.#purges
  }
}

const none = {}
