import type { Clock } from '@ipfleet/core/clock.ts'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { withoutBudget } from '@ipfleet/redis/request-budget.ts'
import type { AnswerStore } from './answer-store.ts'
import type { Entry } from './entry.ts'
import { failureOf, type Finding, heldFinding, holdMs, type IsPoorer, loadedFinding, type LoadMany } from './finding.ts'
import type { FleetFlight } from './flight/fleet-flight.ts'
import { type FlightResult, loadAlone, type LoadCallbacks, type Settle } from './flight/load.ts'
import type { LruStore } from './lru-store.ts'
import type { MissForecast } from './miss-forecast.ts'
import type { Outcome, SharedOutcome } from './outcome.ts'
import type { Refreshes } from './refreshes.ts'
import { tracedLoad } from './traced-load.ts'

export interface BatchLoadDeps {
  readonly memory: LruStore
  readonly shared: AnswerStore
  readonly flight: Pick<FleetFlight<SharedOutcome>, 'run'>
  /** How long past its freshness an answer beats none. */
  readonly staleForMs: number
  /** How long past its freshness an answer is served at once and refreshed meanwhile (RFC 5861 §3). */
  readonly revalidateForMs: number
  /** Whether an answer holds less than an earlier one to the same query, which then stands. Default: none does. */
  readonly isPoorer?: IsPoorer
  readonly clock: Clock
  /** From 0 to 1, for choosing what is refreshed early. */
  readonly random: () => number
  readonly refreshes: Refreshes
  readonly forecast: MissForecast
}

/** The time between two purges. */
export interface CacheEpoch {
  /** What is being found right now, by query (the pattern of Go's singleflight). */
  readonly inFlight: Map<string, BatchLoad>
  /** What was asked for before a purge must not be remembered after it. */
  isOver: boolean
}

/** The queries of one call that memory cannot answer and that no other call is finding. */
export class BatchLoad implements LoadCallbacks<SharedOutcome> {
  readonly #deps: BatchLoadDeps
  readonly #epoch: CacheEpoch
  readonly #load: LoadMany
  readonly #remembers: boolean
  readonly #startedMs: number
  readonly #open = new Set<string>()
  /** Of its caller, who adds what is found without it. */
  readonly found = new Map<string, Finding>()
  readonly #allFound = Promise.withResolvers<Map<string, Finding>>()
  /** Of those queries that another call waits for. */
  readonly #awaited = new Map<string, PromiseWithResolvers<Finding>>()
  readonly #loading = new Set<string>()
  /** The newest that there was to begin with. */
  readonly #best = new Map<string, Entry>()

  /** @param remembers whether memory keeps what is found */
  constructor(deps: BatchLoadDeps, epoch: CacheEpoch, load: LoadMany, remembers: boolean) {
    this.#deps = deps
    this.#epoch = epoch
    this.#load = tracedLoad(load)
    this.#remembers = remembers
    this.#startedMs = deps.clock.nowMs()
  }

  take(query: string): void {
    this.#open.add(query)
    this.#epoch.inFlight.set(query, this)
  }

  /** How it ends for a query that another call waits for. Most have none, and no promise. */
  result(query: string): Promise<Finding> {
    return this.#awaited.getOrInsertComputed(query, () => Promise.withResolvers<Finding>()).promise
  }

  /** The findings of all that were taken. When one of them fails, it goes on for those who wait for the others. */
  run(deadlineMs: number): Promise<Map<string, Finding>> {
    if (this.#open.size === 0) this.#allFound.resolve(this.found)
    else void this.#findAll(deadlineMs)
    return this.#allFound.promise
  }

  /** Never throws: what goes wrong is told to those who wait. */
  async #findAll(deadlineMs: number): Promise<void> {
    const { flight, forecast } = this.#deps
    // The lease is then asked for together with the look-up, which saves a miss one wait.
    const isAhead = this.#open.size === 1 && forecast.isMiss
    const lookUp = this.#lookUp()
    // Its rejection is handled where it is awaited.
    lookUp.catch(ignored)
    try {
      if (!isAhead) this.#refreshAll(await lookUp)
      const stillOpen = isAhead ? () => lookUp.then(() => this.#open) : undefined
      if (this.#open.size > 0) await flight.run([...this.#open], this, deadlineMs, stillOpen)
      // Not before: the lease would have kept it out.
      if (isAhead) this.#refreshAll(await lookUp)
    } catch (error) {
      // It may have found all.
      await lookUp.catch(ignored)
      const left = [...this.#open].filter((query) => !this.#loading.has(query))
      // Others load these and have not landed in time.
      if (error instanceof ProxyError) this.#fail(left, error)
      else this.failed(left, error)
    }
  }

  /** Answers what the shared tier can; gives back what of that should be loaded anew. */
  async #lookUp(): Promise<string[]> {
    const { shared, forecast } = this.#deps
    const isOne = this.#open.size === 1
    const toRefresh = this.#serve(await shared.getMany([...this.#open]))
    if (isOne) forecast.note(this.#open.size > 0)
    return toRefresh
  }

  #refreshAll(queries: readonly string[]): void {
    if (queries.length === 0) return
    const callbacks: Omit<LoadCallbacks<SharedOutcome>, 'failed'> = {
      load: (some, settle) => this.#load(some, settle, 'refresh'),
      landed: (results) => this.landed(results),
    }
    void withoutBudget(() => this.#deps.refreshes.begin(queries, callbacks))
  }

  load(queries: readonly string[], settle: Settle<SharedOutcome>): Promise<void> {
    for (const query of queries) this.#loading.add(query)
    return this.#load(queries, settle, 'answer')
  }

  async landed(results: ReadonlyMap<string, FlightResult<SharedOutcome>>): Promise<void> {
    const findings = new Map<string, Finding>()
    const toStore = new Map<string, Entry>()
    const unshared: string[] = []
    const nowMs = this.#deps.clock.nowMs()
    // `forEach` makes no pair of each.
    results.forEach((result, query) => {
      const { outcome, led } = result
      if (outcome.kind === 'unshared') return void unshared.push(query)
      const finding = this.#findingOf(query, outcome, led, nowMs)
      findings.set(query, finding)
      if (finding.kind !== 'found' || outcome.kind !== 'answer' || outcome.freshForMs <= 0) return
      // What was loaded under a lost lease may be older than what has been stored meanwhile.
      if (result.superseded || this.#epoch.isOver) return
      const { entry } = finding
      if (entry === this.#best.get(query)) entry.heldUntilMs = nowMs + holdMs(outcome)
      if (this.#remembers) this.#deps.memory.set(query, entry, nowMs)
      if (led) toStore.set(query, entry)
    })
    // It is on its way before the answers are: a client that asks another replica next is answered from there.
    const storing = toStore.size > 0 ? this.#deps.shared.setMany(toStore) : undefined
    findings.forEach((finding, query) => this.#answer(query, finding))
    // Too large to share, or private: this process loads them for itself.
    await Promise.all([storing, unshared.length > 0 ? loadAlone(unshared, this) : undefined])
  }

  failed(queries: readonly string[], error: unknown): void {
    for (const query of queries) {
      if (!this.#close(query)) continue
      this.#awaited.get(query)?.reject(error)
      this.#allFound.reject(error)
    }
  }

  /** Answers what can be answered at once; gives back what of that should be loaded anew. */
  #serve(stored: ReadonlyMap<string, Entry>): string[] {
    const { memory, clock, staleForMs, revalidateForMs, random } = this.#deps
    const nowMs = clock.nowMs()
    // One draw for all, so that those which were loaded together are loaded anew together.
    const draw = random()
    const toRefresh: string[] = []
    for (const query of this.#open) {
      const held = heldFinding(stored.get(query), memory.get(query), nowMs, staleForMs)
      if (held === undefined) continue
      const { entry } = held
      this.#best.set(query, entry)
      const isFresh = held.source !== 'stale'
      const isHeld = entry.heldUntilMs > nowMs
      if (!isFresh && !isHeld && entry.freshness(nowMs, revalidateForMs) !== 'stale') continue
      if (isFresh && this.#remembers && !this.#epoch.isOver) memory.set(query, entry, nowMs)
      if (!isHeld && (!isFresh || entry.isDueEarly(nowMs, draw))) toRefresh.push(query)
      this.#answer(query, held)
    }
    return toRefresh
  }

  #findingOf(query: string, outcome: Outcome, led: boolean, nowMs: number): Finding {
    const { staleForMs, isPoorer } = this.#deps
    const best = this.#best.get(query)
    return loadedFinding(outcome, { led, best, nowMs, loadMs: nowMs - this.#startedMs, staleForMs, isPoorer })
  }

  #fail(queries: readonly string[], error: ProxyError): void {
    const nowMs = this.#deps.clock.nowMs()
    for (const query of queries) this.#answer(query, this.#findingOf(query, failureOf(error), false, nowMs))
  }

  #answer(query: string, finding: Finding): void {
    if (!this.#close(query)) return
    this.found.set(query, finding)
    this.#awaited.get(query)?.resolve(finding)
    if (this.#open.size === 0) this.#allFound.resolve(this.found)
  }

  /** Callers who come from now on begin anew. False for what has ended before, or was not taken. */
  #close(query: string): boolean {
    if (!this.#open.delete(query)) return false
    this.#epoch.inFlight.delete(query)
    return true
  }
}

function ignored(): void {}
