import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'
import type { AnswerCache } from '@ipfleet/cache/answer-cache.ts'
import type { LoadMany } from '@ipfleet/cache/batch-load.ts'
import { type Answer, Entry } from '@ipfleet/cache/entry.ts'
import { inSlices } from '@ipfleet/cache/in-slices.ts'
import { type Failure, type Origin, type Outcome, shareable } from '@ipfleet/cache/outcome.ts'
import type { Finding, LoadPurpose } from '@ipfleet/cache/finding.ts'
import type { Settle } from '@ipfleet/cache/flight/fleet-flight.ts'
import type { OfflineDb } from '@ipfleet/offline/offline-db.ts'
import { offlineAnswer, reservedAnswer } from './own-answers.ts'
import { batchAnswer, type ItemResult } from './batch-answer.ts'
import { type BatchForm, type BatchItem, readItem } from '../query/batch-item.ts'
import type { BatchLoader } from '../upstream/batch-loader.ts'
import type { CacheDirectives } from '../http/cache-directives.ts'
import type { Answered } from './lookup.ts'
import type { Query } from '../query/query.ts'
import { viewOf } from '../query/record-view.ts'

export interface BatchRequest extends BatchForm {
  /** As the client wrote them. */
  readonly items: readonly string[]
  readonly directives: CacheDirectives
  /** Of each API key's limit, from 0 to 1: left to look-ups that somebody waits for. */
  readonly reserveShare: number
  /** Nobody waits for it: it does not push out of memory what others ask for. */
  readonly isBackground: boolean
  /** Of an item that no key may ask now. */
  readonly exhaustedStatus: number
  /** Of the client, for items that are about the caller. */
  readonly ownAddress: () => string
}

export interface BatchLookupParts {
  readonly cache: AnswerCache
  /** Undefined without keys: the embedded database answers everything. */
  readonly loader: BatchLoader | undefined
  readonly offline: OfflineDb
  readonly requestTimeoutMs: number
  /** Whether there is a cache besides memory. */
  readonly isShared: boolean
  /** `open`: the embedded database answers when nobody else does. */
  readonly failureMode: 'closed' | 'open'
  readonly clock?: Clock
}

/** Queries by their target, and their results. */
type Queries = ReadonlyMap<string, Query>
type Results = ReadonlyMap<string, ItemResult>

/** Many queries → one answer. No HTTP and no Redis in it. */
export class BatchLookup {
  readonly #parts: Required<BatchLookupParts>

  constructor(parts: BatchLookupParts) {
    this.#parts = { clock: monotonicClock, ...parts }
  }

  /**
   * The object with the answer to each item, in their order; an item that appears twice is asked and answered once.
   * What is wrong with one item is told in its place.
   * @throws BatchError when upstream is needed and not one of the items could be answered
   */
  async answer(request: BatchRequest): Promise<Answered> {
    const { items, prefix, dropsEmpty, exhaustedStatus, ownAddress } = request
    const distinct = [...new Set(items)]
    const read: BatchItem[] = []
    await inSlices(distinct, (item) => void read.push(readItem(item, prefix, ownAddress)))
    const queries = read.flatMap((one) => (one.kind === 'query' ? [one.query] : []))
    const search = new Search(this.#parts, request)
    const results = await search.answer(queries)
    const nowMs = this.#parts.clock.nowMs()
    const byItem = read.map((one, at): [string, ItemResult] => {
      const item = distinct[at] as string
      if (one.kind === 'error') return [item, { kind: 'refused', error: one.error }]
      return [item, results.get(one.query.target) ?? failed({ kind: 'failure', code: 'internal' })]
    })
    const { origin, units } = search
    return batchAnswer(byItem, { dropsEmpty, exhaustedStatus, nowMs, units, origin })
  }
}

/** One batch's way through reserved addresses, caches, upstream, stale copies and the embedded database. */
class Search {
  readonly #parts: Required<BatchLookupParts>
  readonly #deadlineMs: number
  readonly #reserveShare: number
  readonly #directives: CacheDirectives
  /** Whether memory keeps what is found. */
  readonly #remembers: boolean
  /** Queries put to upstream by this batch. */
  units = 0
  /** Of the first load that tells. */
  origin: Origin | undefined

  constructor(parts: Required<BatchLookupParts>, { reserveShare, isBackground, directives }: BatchRequest) {
    this.#parts = parts
    this.#directives = directives
    this.#reserveShare = reserveShare
    this.#remembers = !(isBackground && parts.isShared)
    this.#deadlineMs = parts.clock.nowMs() + parts.requestTimeoutMs
  }

  async answer(queries: readonly Query[]): Promise<Results> {
    const reserved: [string, ItemResult][] = []
    const toFind = new Map<string, Query>()
    await inSlices(queries, (query) => {
      const answer = reservedAnswer(query)
      if (answer) reserved.push([query.target, this.#made(answer, 'local')])
      else toFind.set(query.target, query)
    })
    const { loader, failureMode } = this.#parts
    const results = await this.#find(toFind, loader)
    if (loader === undefined || failureMode === 'open') this.#fillFromOffline(toFind, results)
    for (const [target, result] of reserved) results.set(target, result)
    return results
  }

  async #find(queries: Queries, loader: BatchLoader | undefined): Promise<Map<string, ItemResult>> {
    if (loader === undefined || queries.size === 0) return new Map()
    if (this.#directives.bypass) return this.#past([...queries.values()], loader)
    const records = recordsOf(queries)
    const found = await this.#findWhole(records, loader)
    if (records === queries) return found
    const results = new Map<string, ItemResult>()
    const untold = new Map<string, Query>()
    for (const [target, query] of queries) {
      const record = found.get(recordOf(query).target)
      const part = record && partOf(query, record)
      if (part) results.set(target, part)
      else untold.set(target, query)
    }
    if (untold.size === 0) return results
    return new Map([...results, ...(await this.#findWhole(untold, loader))])
  }

  /** Each as a cached answer of its own. */
  async #findWhole(queries: Queries, loader: BatchLoader): Promise<Map<string, ItemResult>> {
    if (this.#directives.onlyIfCached) return this.#findHeld([...queries.keys()])
    const load: LoadMany = (targets, settle, purpose) => {
      const asked = targets.flatMap((target) => queries.get(target) ?? [])
      return this.#load(asked, loader, settle, purpose)
    }
    const findings = await this.#parts.cache.findMany([...queries.keys()], load, this.#deadlineMs, this.#remembers)
    const results = new Map<string, ItemResult>()
    findings.forEach((finding, target) => results.set(target, resultOf(finding)))
    return results
  }

  /** What is in the caches and acceptable (RFC 9111 §5.2.1.7). */
  async #findHeld(targets: readonly string[]): Promise<Map<string, ItemResult>> {
    const { cache, clock } = this.#parts
    const held = await cache.findHeld(targets)
    const nowMs = clock.nowMs()
    return new Map(
      targets.map((target) => {
        const finding = held.get(target)
        const isAcceptable = finding !== undefined && this.#directives.accepts(finding.entry, nowMs)
        return [target, isAcceptable ? resultOf(finding) : failed({ kind: 'failure', code: 'not_cached' })]
      }),
    )
  }

  async #past(queries: readonly Query[], loader: BatchLoader): Promise<Map<string, ItemResult>> {
    const results = new Map<string, ItemResult>()
    await this.#load(queries, loader, async (outcomes) => {
      for (const [target, outcome] of outcomes) {
        results.set(target, outcome.kind === 'failure' ? failed(outcome) : this.#made(outcome.answer, 'bypass'))
      }
    })
    return results
  }

  #load(
    queries: readonly Query[],
    loader: BatchLoader,
    settle: Settle<Outcome>,
    purpose: LoadPurpose = 'answer',
  ): Promise<void> {
    const ofPrivates = new Set(queries.filter(({ isPrivate }) => isPrivate).map(({ target }) => target))
    const counted: Settle<Outcome> = (outcomes) => {
      outcomes.forEach(({ origin }) => {
        // Without one, nobody was asked: no key was left, or upstream is given a pause.
        if (origin !== undefined) this.units += 1
        this.origin ??= origin
      })
      if (ofPrivates.size === 0 && !outcomes.values().some(isForbiddenToShare)) return settle(outcomes)
      const shared = [...outcomes].map(([target, one]): [string, Outcome] => [
        target,
        shareable(one, ofPrivates.has(target)),
      ])
      return settle(new Map(shared))
    }
    const terms = { deadlineMs: this.#deadlineMs, purpose, reserveShare: this.#reserveShare }
    return loader.load(queries, terms, counted)
  }

  #fillFromOffline(queries: Queries, results: Map<string, ItemResult>): void {
    for (const [target, query] of queries) {
      const result = results.get(target) ?? failed(noUpstream)
      if (result.kind !== 'failed') continue
      const answer = offlineAnswer(this.#parts.offline, query)
      results.set(target, answer ? this.#made(answer, 'offline') : result)
    }
  }

  #made(answer: Answer, source: 'local' | 'bypass' | 'offline'): ItemResult {
    return { kind: 'answered', source, entry: new Entry(answer, this.#parts.clock.nowMs(), 0) }
  }
}

const isForbiddenToShare = (outcome: Outcome): boolean => outcome.kind === 'answer' && outcome.answer.isPrivate === true

const noUpstream: Failure = { kind: 'failure', code: 'no_offline_answer' }

const failed = (failure: Failure): ItemResult => ({ kind: 'failed', failure })

const recordOf = (query: Query): Query => query.within?.record ?? query

/** Most batches ask for nothing but records, and are these themselves. */
function recordsOf(queries: Queries): Queries {
  if (!queries.values().some(({ within }) => within)) return queries
  const records = queries.values().map(recordOf)
  return new Map(records.map((record) => [record.target, record]))
}

function resultOf(finding: Finding): ItemResult {
  if (finding.kind === 'found') return { kind: 'answered', source: finding.source, entry: finding.entry }
  if (finding.stale) return { kind: 'answered', source: 'stale', entry: finding.stale }
  return failed(finding.failure)
}

/** What a query's record says to it; undefined when the record cannot tell. */
function partOf({ within }: Query, record: ItemResult): ItemResult | undefined {
  if (!within || record.kind !== 'answered') return record
  const { entry, source } = record
  const part = viewOf(entry.answer, within.view)
  return part && { kind: 'answered', source, entry: new Entry(part, entry.storedAtMs, entry.freshForMs) }
}
