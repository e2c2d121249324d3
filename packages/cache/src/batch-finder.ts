import { type Clock, monotonicClock } from '@ipfleet/clock/clock.ts'
import { ProxyError } from '@ipfleet/errors/proxy-error.ts'
import { type BatchCrew, type BatchFleetLoad, loadAlone, type Settle } from '@ipfleet/flight/batch-flight.ts'
import type { Flown } from '@ipfleet/flight/fleet-flight.ts'
import type { BatchStore } from './answer-store.ts'
import { Entry } from './entry.ts'
import type { LruStore } from './lru-store.ts'
import type { Outcome, SharedOutcome } from './outcome.ts'
import { failureOf, type Finding, type TieredCache } from './tiered-cache.ts'

/** Loads many questions, and settles every one of them, in as many steps as it likes. */
export type LoadMany = (questions: readonly string[], settle: Settle<Outcome>) => Promise<void>

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
  readonly clock?: Clock
}

/**
 * As `TieredCache`, for many questions at once: memory, then one step to Redis for all, then one load for what is
 * left. What is in flight already, in this process or in the fleet, is waited for; whoever asks for one of these
 * questions meanwhile waits for the batch. The failure policy for Redis is the same.
 */
export class BatchFinder {
  readonly #parts: Required<BatchFinderParts>

  constructor(parts: BatchFinderParts) {
    this.#parts = { clock: monotonicClock, ...parts }
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
  readonly #open = new Map<string, PromiseWithResolvers<Finding>>()
  readonly #loading = new Set<string>()
  #stored: ReadonlyMap<string, Entry> | 'away' = 'away'

  constructor(parts: Required<BatchFinderParts>, load: LoadMany) {
    this.#parts = parts
    this.#load = load
    this.#purges = parts.cache.purges
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
      this.#stored = await this.#lookIntoShared()
      for (const question of this.#open.keys()) this.#useStored(question)
      if (this.#open.size > 0) await this.#fly(deadlineMs)
    } catch (error) {
      this.failed([...this.#open.keys()], error)
    }
  }

  load(questions: readonly string[], settle: Settle<SharedOutcome>): Promise<void> {
    for (const question of questions) this.#loading.add(question)
    return this.#load(questions, settle)
  }

  async landed(flown: ReadonlyMap<string, Flown<SharedOutcome>>): Promise<void> {
    const findings = new Map<string, Finding>()
    const toStore = new Map<string, Entry>()
    const unshared: string[] = []
    for (const [question, { outcome, led, published }] of flown) {
      if (outcome.kind === 'unshared') {
        unshared.push(question)
        continue
      }
      const finding = this.#findingOf(question, outcome, led)
      findings.set(question, finding)
      if (finding.kind !== 'found' || finding.entry.freshForMs <= 0 || this.#isPurged()) continue
      this.#parts.memory.set(question, finding.entry, this.#parts.clock.nowMs())
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

  async #lookIntoShared(): Promise<ReadonlyMap<string, Entry> | 'away'> {
    try {
      return await this.#parts.shared.getMany([...this.#open.keys()])
    } catch (error) {
      if (this.#parts.isAway(error)) return 'away'
      throw error
    }
  }

  #useStored(question: string): void {
    const { memory, clock } = this.#parts
    const nowMs = clock.nowMs()
    // While Redis is away, memory may be asked for longer than it is otherwise.
    const entry = this.#stored === 'away' ? memory.get(question) : this.#stored.get(question)
    if (entry === undefined || entry.freshLeftMs(nowMs) <= 0) return
    if (this.#stored !== 'away' && !this.#isPurged()) memory.set(question, entry, nowMs)
    this.#answer(question, { kind: 'found', source: this.#stored === 'away' ? 'l1' : 'l2', entry })
  }

  async #fly(deadlineMs: number): Promise<void> {
    try {
      await this.#parts.flight.run([...this.#open.keys()], this, deadlineMs)
    } catch (error) {
      const left = [...this.#open.keys()].filter((question) => !this.#loading.has(question))
      if (error instanceof ProxyError) {
        for (const question of left) this.#answer(question, this.#findingOf(question, failureOf(error), false))
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

  #findingOf(question: string, outcome: Outcome, led: boolean): Finding {
    const source = led ? 'upstream' : 'collapsed'
    const origin = led && outcome.origin ? { origin: outcome.origin } : {}
    if (outcome.kind === 'failure') {
      return { kind: 'failed', source, failure: outcome, stale: this.#lastResort(question), ...origin }
    }
    const entry = new Entry(outcome.answer, this.#parts.clock.nowMs(), outcome.freshForMs)
    return { kind: 'found', source, entry, ...origin }
  }

  /** The younger of what memory and Redis have, if it is young enough to beat no answer. */
  #lastResort(question: string): Entry | undefined {
    const { memory, clock, staleForMs } = this.#parts
    const stored = this.#stored === 'away' ? undefined : this.#stored.get(question)
    const held = memory.get(question)
    const younger = (stored?.storedAtMs ?? -Infinity) > (held?.storedAtMs ?? -Infinity) ? stored : held
    return younger && younger.freshness(clock.nowMs(), staleForMs) !== 'dead' ? younger : undefined
  }

  #answer(question: string, finding: Finding): void {
    this.#open.get(question)?.resolve(finding)
    this.#open.delete(question)
  }

  #isPurged(): boolean {
    return this.#parts.cache.purges !== this.#purges
  }
}
