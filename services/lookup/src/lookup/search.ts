import type { AnswerCache } from '@ipfleet/cache/answer-cache.ts'
import type { LoadMany } from '@ipfleet/cache/batch-load.ts'
import { inSlices } from '@ipfleet/cache/in-slices.ts'
import { type Answer, Entry } from '@ipfleet/cache/entry.ts'
import type { Finding, LoadPurpose } from '@ipfleet/cache/finding.ts'
import type { Settle } from '@ipfleet/cache/flight/fleet-flight.ts'
import { type Origin, type Outcome, shareable } from '@ipfleet/cache/outcome.ts'
import type { Clock } from '@ipfleet/core/clock.ts'
import type { ErrorCode } from '@ipfleet/core/proxy-error.ts'
import type { AnswerSource, QueryResult } from './answered.ts'
import { type OfflineAnswers, reservedAnswer } from './own-answers.ts'
import { partialName, partialRecord, partOf, recordOf } from './record-parts.ts'
import type { CacheDirectives } from '../http/cache-directives.ts'
import { type Query, requestOf } from '../query/query.ts'
import type { BatchLoader } from '../upstream/batch-loader.ts'
import type { MicroBatcher } from '../upstream/micro-batcher.ts'
import type { Upstream } from '../upstream/upstream.ts'

export interface LookupUpstream {
  readonly loader: Upstream
  readonly batchLoader: BatchLoader
  /** Lets single queries leave together; undefined: each is asked at once. */
  readonly microBatcher: MicroBatcher | undefined
}

export interface SearchDeps {
  readonly cache: AnswerCache
  /** Undefined without keys: the embedded database answers everything. */
  readonly upstream: LookupUpstream | undefined
  /** What answers when nothing else does: without keys, or with `FAILURE_MODE=open`. */
  readonly offline: OfflineAnswers | undefined
  readonly requestTimeoutMs: number
  /** Whether there is a cache besides memory. */
  readonly isShared: boolean
  readonly clock: Clock
}

export interface SearchTerms {
  /** `bypass`: past the caches and past coalescing, neither reading nor writing. */
  readonly directives: CacheDirectives
  /** Undefined for a query that is asked alone. */
  readonly batch?: { readonly reserveShare: number; readonly isBackground: boolean }
}

/** Queries and their results, by target; a record that is cached under another name, by that. */
type Queries = ReadonlyMap<string, Query>
type Results = Map<string, QueryResult>

/** One request's way through reserved addresses, caches, upstream, stale copies and the embedded database. */
export class Search {
  readonly #deps: SearchDeps
  readonly #terms: SearchTerms
  readonly #deadlineMs: number
  /** Queries put to upstream by this search. */
  units = 0
  /** Of the first load that tells. */
  origin: Origin | undefined

  constructor(deps: SearchDeps, terms: SearchTerms) {
    this.#deps = deps
    this.#terms = terms
    this.#deadlineMs = deps.clock.nowMs() + deps.requestTimeoutMs
  }

  async results(queries: readonly Query[]): Promise<ReadonlyMap<string, QueryResult>> {
    const { upstream, offline } = this.#deps
    const results: Results = new Map()
    const toFind = new Map<string, Query>()
    await inSlices(queries, (query) => {
      const answer = reservedAnswer(query)
      if (answer) results.set(query.target, this.#made(answer, 'local'))
      else toFind.set(query.target, query)
    })
    if (upstream && toFind.size > 0) await this.#find(toFind, upstream, results)
    if (offline) this.#fillFromOffline(toFind, results, offline)
    return results
  }

  async #find(queries: Queries, upstream: LookupUpstream, results: Results): Promise<void> {
    const { bypass, onlyIfCached } = this.#terms.directives
    if (onlyIfCached) await this.#findHeld(queries, results)
    else if (bypass) await this.#bypass(queries, upstream, results)
    else if (!queries.values().some(({ within }) => within)) await this.#findWhole(queries, upstream, results)
    else await this.#findWithin(queries, upstream, results)
  }

  /** What is in the caches and acceptable (RFC 9111 §5.2.1.7): the answer itself, or the record that holds it. */
  async #findHeld(queries: Queries, results: Results): Promise<void> {
    const { cache, clock } = this.#deps
    const names = new Set(
      queries.values().flatMap(({ target, within }) => [target, ...(within ? [within.record.target] : [])]),
    )
    const held = await cache.findHeld([...names])
    const nowMs = clock.nowMs()
    const acceptable = (name: string): QueryResult | undefined => {
      const found = held.get(name)
      return found && this.#terms.directives.accepts(found.entry, nowMs) ? resultOf(found) : undefined
    }
    for (const [target, { within }] of queries) {
      const record = within && acceptable(within.record.target)
      results.set(target, acceptable(target) ?? (record && partOf(record, within)) ?? failed('not_cached'))
    }
  }

  async #bypass(queries: Queries, upstream: LookupUpstream, results: Results): Promise<void> {
    const settle: Settle<Outcome> = async (outcomes) => {
      outcomes.forEach((outcome, target) => {
        const { kind } = outcome
        const result =
          kind === 'failure' ? ({ kind: 'failed', failure: outcome } as const) : this.#made(outcome.answer, 'bypass')
        results.set(target, { ...result, ...originOf(outcome) })
      })
    }
    await this.#load(queries, { ...upstream, microBatcher: undefined }, settle)
  }

  /** Each as a cached answer of its own. */
  async #findWhole(queries: Queries, upstream: LookupUpstream, results: Results, isPartial = false): Promise<void> {
    const { cache, isShared } = this.#deps
    const { batch } = this.#terms
    const load: LoadMany = (names, settle, purpose) => {
      const asked = names.length === queries.size ? queries : pick(queries, names)
      return this.#load(asked, upstream, settle, { purpose, isPartial })
    }
    const [name = ''] = queries.keys()
    if (batch === undefined) {
      results.set(name, resultOf(await cache.find(name, load, this.#deadlineMs)))
      return
    }
    const remembers = !(batch.isBackground && isShared)
    const findings = await cache.findMany([...queries.keys()], load, this.#deadlineMs, remembers)
    findings.forEach((finding, target) => results.set(target, resultOf(finding)))
  }

  /** Each as a part of a record, as old as the record; by itself where the record cannot tell. */
  async #findWithin(queries: Queries, upstream: LookupUpstream, results: Results): Promise<void> {
    const found: Results = new Map()
    const [first] = queries.values()
    const partial = first && this.#terms.batch === undefined ? partialRecord(first, upstream.loader) : undefined
    if (partial) await this.#findPartial(partial, upstream, found)
    else
      await this.#findWhole(
        new Map(queries.values().map((query) => [recordOf(query).target, recordOf(query)])),
        upstream,
        found,
      )
    const untold = new Map<string, Query>()
    for (const [target, query] of queries) {
      const name = partial ? partialName(partial) : recordOf(query).target
      const record = found.get(name)
      const part = record && partOf(record, query.within)
      if (part) results.set(target, part)
      else untold.set(target, query)
      if (this.#terms.batch === undefined && part?.kind === 'answered' && record?.kind === 'answered') {
        this.#deps.cache.rememberPart(target, part.entry, { query: name, entry: record.entry })
      }
    }
    if (untold.size > 0) await this.#findWhole(untold, upstream, results)
  }

  /** A record of any plan: kept under a name of its own, it answers what every plan has and stands for no full one. */
  async #findPartial(record: Query, upstream: LookupUpstream, results: Results): Promise<void> {
    const name = partialName(record)
    const full = (await this.#deps.cache.findHeld([record.target])).get(record.target)
    if (full && full.source !== 'stale') results.set(name, resultOf(full))
    else await this.#findWhole(new Map([[name, record]]), upstream, results, true)
    const result = results.get(name)
    if (full && result?.kind === 'failed') results.set(name, { ...resultOf(full), ...originOf(result) })
  }

  async #load(
    queries: Queries,
    { loader, batchLoader, microBatcher }: LookupUpstream,
    settle: Settle<Outcome>,
    { purpose = 'answer', isPartial = false }: { purpose?: LoadPurpose; isPartial?: boolean } = {},
  ): Promise<void> {
    const deadlineMs = this.#deadlineMs
    const counted = this.#counting(queries, settle)
    const { batch } = this.#terms
    if (batch) {
      return batchLoader.load([...queries.values()], { deadlineMs, purpose, reserveShare: batch.reserveShare }, counted)
    }
    // A refresh is in no hurry, and must not cost those who wait: it leaves alone.
    const isTogether = microBatcher !== undefined && purpose === 'answer' && !isPartial
    const [[name, query]] = [...queries] as [[string, Query]]
    const outcome = isTogether
      ? await microBatcher.load(query, deadlineMs)
      : await loader.load(requestOf(query), deadlineMs, { purpose, isPartial })
    return counted(new Map([[name, outcome]]))
  }

  /** Counts what was put to upstream, and marks what may not be shared. */
  #counting(queries: Queries, settle: Settle<Outcome>): Settle<Outcome> {
    const hasPrivates = queries.values().some(({ isPrivate }) => isPrivate)
    return (outcomes) => {
      outcomes.forEach(({ origin }) => {
        // Without one, upstream was not asked: no key was left, or it is given a pause.
        if (origin !== undefined) this.units += 1
        this.origin ??= origin
      })
      if (!hasPrivates && !outcomes.values().some(isForbiddenToShare)) return settle(outcomes)
      const shared = [...outcomes].map(([name, one]): [string, Outcome] => [
        name,
        shareable(one, queries.get(name)?.isPrivate),
      ])
      return settle(new Map(shared))
    }
  }

  #fillFromOffline(queries: Queries, results: Results, offline: OfflineAnswers): void {
    for (const [target, query] of queries) {
      const result = results.get(target) ?? failed('no_offline_answer')
      // A client that wants what is cached, or nothing, gets nothing else.
      if (result.kind === 'answered' || result.failure.code === 'not_cached') continue
      const answer = offline.answer(query)
      results.set(target, answer ? { ...this.#made(answer, 'offline'), ...originOf(result) } : result)
    }
  }

  #made(answer: Answer, source: AnswerSource): QueryResult {
    return { kind: 'answered', source, entry: new Entry(answer, this.#deps.clock.nowMs(), 0) }
  }
}

const isForbiddenToShare = (outcome: Outcome): boolean => outcome.kind === 'answer' && outcome.answer.isPrivate === true

const failed = (code: ErrorCode): QueryResult & { kind: 'failed' } => ({
  kind: 'failed',
  failure: { kind: 'failure', code },
})

const originOf = ({ origin }: { readonly origin?: Origin }): { origin?: Origin } => (origin ? { origin } : {})

const pick = (queries: Queries, names: readonly string[]): Queries =>
  new Map(names.flatMap((name) => (queries.has(name) ? [[name, queries.get(name) as Query]] : [])))

function resultOf(finding: Finding): QueryResult {
  const origin = originOf(finding)
  if (finding.kind === 'found') return { kind: 'answered', source: finding.source, entry: finding.entry, ...origin }
  if (finding.stale) return { kind: 'answered', source: 'stale', entry: finding.stale, ...origin }
  return { kind: 'failed', failure: finding.failure, ...origin }
}
