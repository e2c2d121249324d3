import { type Clock, monotonicClock } from '@ipfleet/clock/clock.ts'
import { ProxyError } from '@ipfleet/errors/proxy-error.ts'
import { type BatchCrew, type BatchFleetLoad, loadAlone, type Settle } from '@ipfleet/flight/batch-flight.ts'
import type { Flown } from '@ipfleet/flight/fleet-flight.ts'
import type { BatchStore } from './answer-store.ts'
import { Entry } from './entry.ts'
import type { LruStore } from './lru-store.ts'
import type { Outcome, SharedOutcome } from './outcome.ts'
import { failureOf, type Finding, type LoadPurpose, type TieredCache, younger } from './tiered-cache.ts'

/** Loads many questions, and settles every one of them, in as many steps as it likes. */
export type LoadMany = (questions: readonly string[], settle: Settle<Outcome>, purpose: LoadPurpose) => Promise<void>

export interface BatchFinderParts {
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
  readonly clock?: Clock
  /** From 0 to 1, for choosing what is refreshed early. */
  readonly random?: () => number
}

/**
 * As `TieredCache`, for many questions at once: memory, then one step to Redis for all, then one load for what is
 * left. What is in flight already, in this process or in the fleet, is waited for; whoever asks for one of these
 * questions meanwhile waits for the batch. The failure policy for Redis is the same.
 */
export class BatchFinder {
  readonly #parts: Required<BatchFinderParts>

  constructor(parts: BatchFinderParts) {
    this.#parts = { clock: monotonicClock, random: Math.random, ...parts }
  }

  /**
   * What is found for each question. Loads are not tied to the caller: they go on, and are kept, when it hangs up.
   * @param deadlineMs monotonic; what others load and has not landed by then fails with `upstream_timeout`.
   */
  async find(questions: readonly string[], load: LoadMany, deadlineMs: number): Promise<ReadonlyMap<string, Finding>> {
    const { cache, memory, clock } = this.#parts
    const trip = new Trip(this.#parts, load)
    const nowMs = clock.nowMs()
    const findings = [...new Set(questions)].map(async (question): Promise<[string, Finding]> => {
      const held = memory.getServable(question, nowMs)
      if (held) return [question, { kind: 'found', source: 'l1', entry: held }]
      return [question, await cache.join(question, () => trip.take(question))]
    })
    // All are taken by now, and nobody can have asked for them in between.
    void trip.bringAll(deadlineMs)
    return new Map(await Promise.all(findings))
  }
}

/** The questions of one batch that are this process's to find. */
class Trip implements BatchCrew<SharedOutcome> {
  readonly #parts: Required<BatchFinderParts>
  readonly #load: LoadMany
  readonly #purges: number
  readonly #startedMs: number
  readonly #open = new Map<string, PromiseWithResolvers<Finding>>()
  readonly #loading = new Set<string>()
  /** The newest that there was to begin with. */
  readonly #best = new Map<string, Entry>()

  constructor(parts: Required<BatchFinderParts>, load: LoadMany) {
    this.#parts = parts
    this.#load = load
    this.#purges = parts.cache.purges
    this.#startedMs = parts.clock.nowMs()
  }

  take(question: string): Promise<Finding> {
    const found = Promise.withResolvers<Finding>()
    this.#open.set(question, found)
    return found.promise
  }

  /** Never throws: what goes wrong is told to those who wait. */
  async bringAll(deadlineMs: number): Promise<void> {
    if (this.#open.size === 0) return
    try {
      const toRefresh = this.#serve(await this.#lookIntoShared())
      if (toRefresh.length > 0) void this.#refresh(toRefresh)
      if (this.#open.size > 0) await this.#fly(deadlineMs)
    } catch (error) {
      this.failed([...this.#open.keys()], error)
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
    for (const [question, { outcome, led, published }] of flown) {
      if (outcome.kind === 'unshared') {
        unshared.push(question)
        continue
      }
      const finding = this.#findingOf(question, outcome, led, nowMs)
      findings.set(question, finding)
      if (finding.kind !== 'found' || finding.entry.freshForMs <= 0 || this.#isPurged()) continue
      this.#parts.memory.set(question, finding.entry, nowMs)
      if (led && published) toStore.set(question, finding.entry)
    }
    try {
      await this.#store(toStore)
    } finally {
      for (const [question, finding] of findings) this.#answer(question, finding)
    }
    // Too large to share: this process loads them for itself.
    if (unshared.length > 0) await loadAlone(unshared, this)
  }

  failed(questions: readonly string[], error: unknown): void {
    for (const question of questions) {
      this.#open.get(question)?.reject(error)
      this.#open.delete(question)
    }
  }

  async #lookIntoShared(): Promise<ReadonlyMap<string, Entry>> {
    try {
      return await this.#parts.shared.getMany([...this.#open.keys()])
    } catch (error) {
      if (this.#parts.isAway(error)) return new Map()
      throw error
    }
  }

  /** Answers what can be answered at once; gives back what of that should be loaded anew. */
  #serve(shared: ReadonlyMap<string, Entry>): string[] {
    const { memory, clock, revalidateForMs, random } = this.#parts
    const nowMs = clock.nowMs()
    // One draw for all, so that those which were loaded together are loaded anew together.
    const draw = random()
    const toRefresh: string[] = []
    for (const question of this.#open.keys()) {
      const stored = shared.get(question)
      const entry = younger(stored, memory.get(question))
      if (entry === undefined) continue
      this.#best.set(question, entry)
      const isFresh = entry.freshLeftMs(nowMs) > 0
      if (!isFresh && entry.freshness(nowMs, revalidateForMs) !== 'stale') continue
      if (isFresh && !this.#isPurged()) memory.set(question, entry, nowMs)
      if (!isFresh || entry.isDueEarly(nowMs, draw)) toRefresh.push(question)
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
      await this.#parts.flight.run([...this.#open.keys()], this, deadlineMs)
    } catch (error) {
      const left = [...this.#open.keys()].filter((question) => !this.#loading.has(question))
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
    const origin = led && outcome.origin ? { origin: outcome.origin } : {}
    if (outcome.kind === 'failure') {
      const best = this.#best.get(question)
      const stale = best?.freshness(nowMs, this.#parts.staleForMs) === 'stale' ? best : undefined
      return { kind: 'failed', source, failure: outcome, stale, ...origin }
    }
    const entry = new Entry(outcome.answer, nowMs, outcome.freshForMs, led ? nowMs - this.#startedMs : 0)
    return { kind: 'found', source, entry, ...origin }
  }

  #answer(question: string, finding: Finding): void {
    this.#open.get(question)?.resolve(finding)
    this.#open.delete(question)
  }

  #isPurged(): boolean {
    return this.#parts.cache.purges !== this.#purges
  }
}
