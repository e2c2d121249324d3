import type { AnswerCache } from '@ipfleet/cache/answer-cache.ts'
import type { LoadMany } from '@ipfleet/cache/finding.ts'
import { inSlices } from '@ipfleet/cache/in-slices.ts'
import { type Answer, Entry } from '@ipfleet/cache/entry.ts'
import type { LoadPurpose } from '@ipfleet/cache/finding.ts'
import type { Settle } from '@ipfleet/cache/flight/load.ts'
import { type Origin, type Outcome, shareable } from '@ipfleet/cache/outcome.ts'
import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import type { UpstreamRequest } from '@ipfleet/upstream/upstream-request.ts'
import { type Answered, type AnswerSource, failed, LookupError, originOf, type Results, resultOf } from './answered.ts'
import { batchAnswer, type BatchRequest, type ItemResult } from './batch-answer.ts'
import { type OfflineAnswers, reservedAnswer } from './own-answers.ts'
import { findParts, partOf, type Queries } from './record-parts.ts'
import type { CacheDirectives } from '../http/cache-directives.ts'
import { type BatchItem, readItem } from '../query/batch-items.ts'
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

export interface LookupDeps {
  readonly cache: AnswerCache
  /** Undefined without keys: the embedded database answers everything. */
  readonly upstream: LookupUpstream | undefined
  /** What answers when nothing else does: without keys, or with `FAILURE_MODE=open`. */
  readonly offline: OfflineAnswers | undefined
  readonly requestTimeoutMs: number
  /** Whether there is a cache besides memory. */
  readonly isShared: boolean
  readonly clock?: Clock
}

interface SearchTerms {
  /** `bypass`: past the caches and past coalescing, neither reading nor writing. */
  readonly directives: CacheDirectives
  /** Undefined for a query that is asked alone. */
  readonly batch?: Pick<BatchRequest, 'reserveShare' | 'isBackground'>
}

/** Query → answer, and many → one. No HTTP and no Redis in it. */
export class Lookup {
  readonly #deps: SearchDeps

  constructor(deps: LookupDeps) {
    this.#deps = { clock: monotonicClock, ...deps }
  }

  /**
   * The answer to a query: from memory, Redis, upstream, a stale copy or the embedded database, in this order.
   * @throws LookupError when there is none
   */
  async answer(query: Query, directives: CacheDirectives): Promise<Answered> {
    const results = await new Search(this.#deps, { directives }).results([query])
    const result = results.get(query.target) ?? failed('internal')
    if (result.kind === 'failed') throw new LookupError(result.failure, result.source)
    return result
  }

  /**
   * The object with the answer to each item; an item that appears twice is asked and answered once.
   * @throws BatchError when nothing was answered and something failed
   */
  async answerMany(request: BatchRequest): Promise<Answered> {
    const { prefix, ownAddress, directives } = request
    const distinct = [...new Set(request.items)]
    const read: BatchItem[] = []
    await inSlices(distinct, (item) => void read.push(readItem(item, prefix, ownAddress)))
    const search = new Search(this.#deps, { directives, batch: request })
    const found = await search.results(read.flatMap((one) => (one.kind === 'query' ? [one.query] : [])))
    const results = read.map((one, at): [string, ItemResult] => [
      distinct[at] as string,
      one.kind === 'error'
        ? { kind: 'refused', error: one.error }
        : (found.get(one.query.target) ?? failed('internal')),
    ])
    const { units, origin } = search
    return batchAnswer(results, request, { nowMs: this.#deps.clock.nowMs(), units, origin })
  }

  /** One request to upstream that is no other client's business: an account, a map. @throws ProxyError */
  async direct(request: UpstreamRequest): Promise<Answered> {
    const { upstream, requestTimeoutMs, clock } = this.#deps
    if (!upstream) throw new ProxyError('no_offline_answer')
    const outcome = await upstream.loader.load(request, clock.nowMs() + requestTimeoutMs)
    if (outcome.kind === 'failure') throw new LookupError(outcome, 'bypass')
    return { source: 'bypass', entry: new Entry(outcome.answer, clock.nowMs(), 0), ...originOf(outcome) }
  }
}

type SearchDeps = LookupDeps & { readonly clock: Clock }

/** One request's way through reserved addresses, caches, upstream, stale copies and the embedded database. */
class Search {
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

  /** What came of each query, by target. */
  async results(queries: readonly Query[]): Promise<Results> {
    const { upstream, offline } = this.#deps
    const results: Results = new Map()
    const toFind = new Map<string, Query>()
    await inSlices(queries, (query) => {
      const answer = reservedAnswer(query)
      if (answer) results.set(query.target, this.#made(answer, 'local'))
      else toFind.set(query.target, query)
    })
    if (upstream && toFind.size > 0) await this.#find(toFind, upstream, results)
    // A sender that can wait for upstream is told to.
    const mayWait = upstream !== undefined && this.#terms.batch?.isBackground === true
    if (offline && !mayWait) this.#fillFromOffline(toFind, results, offline)
    return results
  }

  async #find(queries: Queries, upstream: LookupUpstream, results: Results): Promise<void> {
    const { cache } = this.#deps
    const { directives, batch } = this.#terms
    if (directives.onlyIfCached) return this.#findHeld(queries, results)
    if (directives.bypass) return this.#bypass(queries, upstream, results)
    if (!hasAny(queries, isPartOfRecord)) return this.#findWhole(queries, upstream, results)
    const findWhole = (some: Queries, found: Results, isPartial?: boolean): Promise<void> =>
      this.#findWhole(some, upstream, found, isPartial)
    await findParts(queries, results, { cache, upstream: upstream.loader, isAlone: batch === undefined, findWhole })
  }

  /** What is in the caches and acceptable (RFC 9111 §5.2.1.7): the answer itself, or the record that holds it. */
  async #findHeld(queries: Queries, results: Results): Promise<void> {
    const { cache, clock } = this.#deps
    const names = new Set(queries.values().flatMap(({ target, within }) => [target, within?.record.target ?? target]))
    const held = await cache.findHeld([...names])
    const nowMs = clock.nowMs()
    const acceptable = (name: string) => {
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
        const isFailed = outcome.kind === 'failure'
        const result = isFailed
          ? ({ kind: 'failed', failure: outcome, source: 'bypass' } as const)
          : this.#made(outcome.answer, 'bypass')
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
    const hasPrivates = hasAny(queries, isPrivate)
    return (outcomes) => {
      outcomes.forEach(({ origin }) => {
        // Without one, upstream was not asked: no key was left, or it is given a pause.
        if (origin !== undefined) this.units += 1
        this.origin ??= origin
      })
      if (!hasPrivates && !hasAny(outcomes, isForbiddenToShare)) return settle(outcomes)
      return settle(
        new Map(outcomes.entries().map(([name, one]) => [name, shareable(one, queries.get(name)?.isPrivate)])),
      )
    }
  }

  #fillFromOffline(queries: Queries, results: Results, offline: OfflineAnswers): void {
    for (const [target, query] of queries) {
      // Upstream says of a word that is no address what this says of it, and needs no key for that.
      const isWord = query.isPrivate === true && !target.includes('/', 1)
      const result = results.get(target) ?? failed(isWord ? 'wrong_ip' : 'no_offline_answer')
      // A client that wants what is cached, or nothing, gets nothing else.
      if (result.kind === 'answered' || result.failure.code === 'not_cached') continue
      const answer = offline.answer(query)
      results.set(target, answer ? { ...this.#made(answer, 'offline'), ...originOf(result) } : result)
    }
  }

  #made(answer: Answer, source: AnswerSource) {
    return { kind: 'answered', source, entry: new Entry(answer, this.#deps.clock.nowMs(), 0) } as const
  }
}

const isPartOfRecord = ({ within }: Query): boolean => within !== undefined
const isPrivate = (query: Query): boolean => query.isPrivate === true
const isForbiddenToShare = (outcome: Outcome): boolean => outcome.kind === 'answer' && outcome.answer.isPrivate === true

/** As `some` of an iterator, which makes an object for each step. */
function hasAny<T>(values: ReadonlyMap<string, T>, is: (value: T) => boolean): boolean {
  for (const value of values.values()) if (is(value)) return true
  return false
}

const pick = (queries: Queries, names: readonly string[]): Queries =>
  new Map(names.flatMap((name) => (queries.has(name) ? [[name, queries.get(name) as Query]] : [])))
