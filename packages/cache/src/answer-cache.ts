import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'
import { BatchLoad, type BatchLoadDeps, type CacheEpoch } from './batch-load.ts'
import { Entry } from './entry.ts'
import {
  asJoined,
  type Finding,
  type Found,
  isOthersPrivate,
  isOthersReserve,
  type LoadMany,
  heldFinding,
  privateFinding,
} from './finding.ts'
import { MissForecast } from './miss-forecast.ts'
import { Refreshes } from './refreshes.ts'
import { linkToLeaders } from './traced-load.ts'

export interface AnswerCacheDeps extends Omit<BatchLoadDeps, 'clock' | 'random' | 'refreshes' | 'forecast'> {
  readonly clock?: Clock
  readonly random?: () => number
}

/**
 * Memory, then one step to Redis, then one load in the fleet for what is left. One query is a batch of one behind the
 * look into memory. What is in flight already, in this process or in the fleet, is waited for.
 */
export class AnswerCache {
  readonly #deps: BatchLoadDeps
  #epoch: CacheEpoch = newEpoch()

  constructor({ clock = monotonicClock, random = Math.random, ...deps }: AnswerCacheDeps) {
    const refreshes = new Refreshes(deps.flight, clock)
    this.#deps = { ...deps, clock, random, refreshes, forecast: new MissForecast() }
  }

  /** As `findMany`, for one query. */
  async find(query: string, load: LoadMany, deadlineMs: number): Promise<Finding> {
    const { memory, clock } = this.#deps
    const entry = memory.getServable(query, clock.nowMs())
    if (entry) return { kind: 'found', source: 'l1', entry }
    return (await this.findMany([query], load, deadlineMs)).get(query) as Finding
  }

  /**
   * What is found for each query. Loads are not tied to the caller: they go on, and are kept, when it hangs up.
   * @param deadlineMs monotonic; what others load and has not landed by then fails with `upstream_timeout`.
   * @param remembers whether memory keeps what is found
   */
  async findMany(
    queries: readonly string[],
    load: LoadMany,
    deadlineMs: number,
    remembers = true,
  ): Promise<ReadonlyMap<string, Finding>> {
    const found = await this.#findOnce(queries, load, deadlineMs, remembers)
    // As most have.
    if (found.size === 1 && found.values().next().value?.source !== 'collapsed') return found
    return this.#forThisCaller(found, load, deadlineMs, remembers)
  }

  /** Looks anew for what another caller has found for itself only. */
  async #forThisCaller(
    found: Map<string, Finding>,
    load: LoadMany,
    deadlineMs: number,
    remembers: boolean,
  ): Promise<ReadonlyMap<string, Finding>> {
    for (;;) {
      const privates: string[] = []
      const spared: string[] = []
      found.forEach((finding, query) => {
        if (isOthersPrivate(finding)) privates.push(query)
        else if (isOthersReserve(finding)) spared.push(query)
      })
      if (privates.length > 0) await this.#loadPrivately(privates, load, found)
      if (spared.length === 0 || this.#deps.clock.nowMs() >= deadlineMs) {
        linkToLeaders(found)
        return found
      }
      const again = await this.#findOnce(spared, load, deadlineMs, remembers)
      again.forEach((finding, query) => found.set(query, finding))
    }
  }

  /** What of them is in the caches and at most stale, without asking anyone else. */
  async findHeld(queries: readonly string[]): Promise<Map<string, Found>> {
    const { memory, shared, clock, staleForMs } = this.#deps
    const nowMs = clock.nowMs()
    const found = new Map<string, Found>()
    for (const query of queries) {
      const entry = memory.getServable(query, nowMs)
      if (entry) found.set(query, { kind: 'found', source: 'l1', entry })
    }
    const left = queries.filter((query) => !found.has(query))
    if (left.length === 0) return found
    const stored = await shared.getMany(left)
    for (const query of left) {
      const held = heldFinding(stored.get(query), memory.get(query), nowMs, staleForMs)
      if (held) found.set(query, held)
    }
    return found
  }

  /** Keeps in memory what was made from an entry that is there (and has not been purged meanwhile). */
  rememberPart(query: string, part: Entry, whole: { readonly query: string; readonly entry: Entry }): void {
    const { memory, clock } = this.#deps
    const nowMs = clock.nowMs()
    const isHeld = memory.get(whole.query) === whole.entry
    if (isHeld && part.freshLeftMs(nowMs) > 0) memory.set(query, part, nowMs)
  }

  /** Forgets what is in memory, and keeps what is being loaded right now from being remembered. */
  forget(): void {
    this.#epoch.isOver = true
    // Callers who ask after a purge do not join a load from before it.
    this.#epoch = newEpoch()
    this.#deps.memory.clear()
  }

  #findOnce(
    queries: readonly string[],
    load: LoadMany,
    deadlineMs: number,
    remembers: boolean,
  ): Promise<Map<string, Finding>> {
    const { memory, clock } = this.#deps
    const { inFlight } = this.#epoch
    const own = new BatchLoad(this.#deps, this.#epoch, load, remembers)
    const { found } = own
    const nowMs = clock.nowMs()
    const joined: Promise<unknown>[] = []
    for (const query of queries) {
      const held = memory.getServable(query, nowMs)
      const running = held ? undefined : inFlight.get(query)
      if (held) found.set(query, { kind: 'found', source: 'l1', entry: held })
      else if (running === undefined) own.take(query)
      // Else it stands twice in this call.
      else if (running !== own) {
        joined.push(running.result(query).then((finding) => found.set(query, asJoined(finding))))
      }
    }
    // All are taken by now, and no other caller can have asked for them in between.
    const run = own.run(deadlineMs)
    return joined.length === 0 ? run : Promise.all([run, ...joined]).then(() => found)
  }

  /** What another client's request has found is not for this one. */
  async #loadPrivately(queries: readonly string[], load: LoadMany, found: Map<string, Finding>): Promise<void> {
    const settle = async (outcomes: Parameters<Parameters<LoadMany>[1]>[0]): Promise<void> => {
      const nowMs = this.#deps.clock.nowMs()
      outcomes.forEach((outcome, query) => found.set(query, privateFinding(outcome, nowMs)))
    }
    await load(queries, settle, 'answer')
  }
}

const newEpoch = (): CacheEpoch => ({ inFlight: new Map(), isOver: false })
