import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'
import { type Answer, Entry } from '@ipfleet/cache/entry.ts'
import { type Failure, type Origin, type Outcome, shareable } from '@ipfleet/cache/outcome.ts'
import type { LoadPurpose, Source } from '@ipfleet/cache/finding.ts'
import type { AnswerCache } from '@ipfleet/cache/answer-cache.ts'
import type { LoadMany } from '@ipfleet/cache/batch-load.ts'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import type { OfflineDb } from '@ipfleet/offline/offline-db.ts'
import type { UpstreamRequest } from '@ipfleet/upstream/upstream-request.ts'
import { offlineAnswer, reservedAnswer } from './own-answers.ts'
import type { CacheDirectives } from '../http/cache-directives.ts'
import type { MicroBatcher } from '../upstream/micro-batcher.ts'
import type { Query } from '../query/query.ts'
import { type View, viewOf } from '../query/record-view.ts'
import type { LoadOptions } from '../upstream/upstream-loader.ts'

/**
 * Where an answer came from. Beyond the cache's own sources: `stale` (too old, but there is nothing newer), `offline`
 * (the embedded database), `local` (needs no look-up), `bypass` (upstream, without looking into the cache).
 */
export type AnswerSource = Source | 'stale' | 'offline' | 'local' | 'bypass'

export interface Answered {
  readonly source: AnswerSource
  readonly entry: Entry
  /** What it was loaded with, if this request loaded it. */
  readonly origin?: Origin
  /** Queries that it put to upstream, where that is not one for an `origin` and none without: a batch's items. */
  readonly units?: number
  /** How many items of a batch ended how. */
  readonly items?: ItemCounts
  /** Some items of a batch had no answer: when to ask for them again, in whole seconds. */
  readonly retryAfterSeconds?: number
}

/** How many items of a batch ended how. `refused`: it makes no sense, and nobody was asked. */
export type ItemCounts = Readonly<Partial<Record<AnswerSource | 'refused' | 'error', number>>>

export interface Upstream {
  /** Whether the record is better asked of any key than of the richest, where only a part that all have is wanted. */
  prefersPartial?(request: UpstreamRequest): boolean
  load(request: UpstreamRequest, deadlineMs: number, options?: LoadOptions): Promise<Outcome>
}

export interface LookupParts {
  readonly cache: AnswerCache
  /** Undefined without keys: the embedded database answers everything. */
  readonly upstream: Upstream | undefined
  /** Lets queries leave together; undefined: each is asked at once. */
  readonly together?: MicroBatcher | undefined
  readonly offline: OfflineDb
  readonly requestTimeoutMs: number
  /** `open`: the embedded database answers when nobody else does. */
  readonly failureMode: 'closed' | 'open'
  readonly clock?: Clock
}

/** Query → answer. No HTTP and no Redis in it. */
export class Lookup {
  readonly #cache: AnswerCache
  readonly #upstream: Upstream | undefined
  readonly #together: MicroBatcher | undefined
  readonly #offline: OfflineDb
  readonly #requestTimeoutMs: number
  readonly #failureMode: 'closed' | 'open'
  readonly #clock: Clock

  constructor(parts: LookupParts) {
    const { cache, upstream, together, offline, requestTimeoutMs, failureMode, clock = monotonicClock } = parts
    this.#cache = cache
    this.#upstream = upstream
    this.#together = together
    this.#offline = offline
    this.#requestTimeoutMs = requestTimeoutMs
    this.#failureMode = failureMode
    this.#clock = clock
  }

  /**
   * The answer to a query: from memory, Redis, upstream, a stale copy or the embedded database, in this order.
   * @param directives `bypass`: past the caches and past coalescing, neither reading nor writing
   * @throws ProxyError when there is none
   */
  async answer(query: Query, directives: CacheDirectives): Promise<Answered> {
    const reserved = reservedAnswer(query)
    if (reserved) return this.#made(reserved, 'local')
    if (!this.#upstream) return this.#fromOffline(query, { kind: 'failure', code: 'no_offline_answer' })
    if (directives.onlyIfCached) return this.#findHeld(query, directives)
    if (directives.bypass) return this.#past(query, this.#upstream)
    return this.#find(query, this.#upstream)
  }

  /** What is in the caches and acceptable. @throws ProxyError `not_cached` (RFC 9111 §5.2.1.7) */
  async #findHeld({ target, within }: Query, { accepts }: CacheDirectives): Promise<Answered> {
    for (const { query, view } of [{ query: target, view: undefined }, ...partsOf(within)]) {
      const held = (await this.#cache.findHeld([query])).get(query)
      if (!held || !accepts(held.entry, this.#clock.nowMs())) continue
      const entry = view ? partOf(held.entry, view) : held.entry
      if (entry) return { ...held, entry }
    }
    throw new ProxyError('not_cached')
  }

  async #find(query: Query, upstream: Upstream): Promise<Answered> {
    const { within } = query
    if (within) {
      const part = await this.#findWithin(query, within, upstream)
      if (part) return part
    }
    const deadlineMs = this.#clock.nowMs() + this.#requestTimeoutMs
    const finding = await this.#cache.find(
      query.target,
      loadingOne((purpose) => this.#load(query, upstream, deadlineMs, purpose)),
      deadlineMs,
    )
    if (finding.kind === 'found') return finding
    if (finding.stale) return { source: 'stale', entry: finding.stale, ...originOf(finding) }
    return this.#withoutUpstream(query, finding.failure, originOf(finding))
  }

  /** A refresh is in no hurry, and must not cost those who wait: it leaves alone. */
  async #load(query: Query, upstream: Upstream, deadlineMs: number, purpose: LoadPurpose): Promise<Outcome> {
    const isTogether = this.#together !== undefined && purpose === 'answer'
    const outcome = isTogether
      ? await this.#together.load(query, deadlineMs)
      : await upstream.load(getOf(query), deadlineMs, { purpose })
    return shareable(outcome, query.isPrivate)
  }

  /** The answer as a part of a record, as old as the record. Undefined when the record cannot tell. */
  async #findWithin(
    { target }: Query,
    { record, view }: NonNullable<Query['within']>,
    upstream: Upstream,
  ): Promise<Answered | undefined> {
    const isPartial = isInEveryPlan(record, view) && upstream.prefersPartial?.(getOf(record)) === true
    const found = isPartial ? await this.#findPartial(record, upstream) : await this.#find(record, upstream)
    // The embedded database lacks most fields: of its records a missing one is not known to be empty.
    const seen = found.source === 'offline' && view.kind === 'field' ? { ...view, absentIsEmpty: false } : view
    const entry = partOf(found.entry, seen)
    if (!entry) return undefined
    this.#cache.rememberPart(target, entry, {
      query: isPartial ? partialName(record) : record.target,
      entry: found.entry,
    })
    return { ...found, entry }
  }

  /** A record of any plan: kept under a name of its own, it answers what every plan has and stands for no full one. */
  async #findPartial(record: Query, upstream: Upstream): Promise<Answered> {
    const full = (await this.#cache.findHeld([record.target])).get(record.target)
    if (full && full.source !== 'stale') return full
    const deadlineMs = this.#clock.nowMs() + this.#requestTimeoutMs
    const load = loadingOne((purpose) => upstream.load(getOf(record), deadlineMs, { purpose, isPartial: true }))
    const finding = await this.#cache.find(partialName(record), load, deadlineMs)
    if (finding.kind === 'found') return finding
    const stale = finding.stale ?? full?.entry
    if (stale) return { source: 'stale', entry: stale, ...originOf(finding) }
    return this.#withoutUpstream(record, finding.failure, originOf(finding))
  }

  /**
   * One request to upstream that is nobody else's business: an account, a map.
   * @throws ProxyError
   */
  async direct(request: UpstreamRequest): Promise<Answered> {
    if (!this.#upstream) throw new ProxyError('no_offline_answer')
    const outcome = await this.#upstream.load(request, this.#clock.nowMs() + this.#requestTimeoutMs)
    if (outcome.kind === 'failure') throw new LookupError(outcome)
    return this.#made(outcome.answer, 'bypass', outcome)
  }

  async #past(query: Query, upstream: Upstream): Promise<Answered> {
    const outcome = await upstream.load(getOf(query), this.#clock.nowMs() + this.#requestTimeoutMs)
    if (outcome.kind === 'answer') return this.#made(outcome.answer, 'bypass', outcome)
    return this.#withoutUpstream(query, outcome, originOf(outcome))
  }

  #withoutUpstream(query: Query, failure: Failure, origin: { origin?: Origin }): Answered {
    if (this.#failureMode === 'closed') throw new LookupError(failure)
    return { ...this.#fromOffline(query, failure), ...origin }
  }

  #fromOffline(query: Query, otherwise: Failure): Answered {
    const answer = offlineAnswer(this.#offline, query)
    if (!answer) throw new LookupError(otherwise)
    return this.#made(answer, 'offline')
  }

  #made(answer: Answer, source: AnswerSource, loaded: { readonly origin?: Origin } = {}): Answered {
    return { source, entry: new Entry(answer, this.#clock.nowMs(), 0), ...originOf(loaded) }
  }
}

function loadingOne(load: (purpose: LoadPurpose) => Promise<Outcome>): LoadMany {
  return async ([query = ''], settle, purpose) => settle(new Map([[query, await load(purpose)]]))
}

/** The record in which the answer to a query is. */
function partsOf(within: Query['within']): { query: string; view: View | undefined }[] {
  return within ? [{ query: within.record.target, view: within.view }] : []
}

/** A part of a record is as old as the record, and of the same provider. */
function partOf({ answer, storedAtMs, freshForMs }: Entry, view: View): Entry | undefined {
  const part = viewOf(answer, view)
  const mark = answer.isFallback && { isFallback: answer.isFallback }
  return part && new Entry({ ...part, ...mark }, storedAtMs, freshForMs)
}

/** No request target holds a space. */
const partialName = ({ target }: Query): string => `fields of ${target}`

/** Parts that the records of all plans hold alike. */
function isInEveryPlan({ surface }: Query, view: View): boolean {
  if (surface === 'legacy') return view.kind === 'geo' || view.absentIsEmpty
  return view.kind === 'field' && ['geo', 'as', 'hostname', 'ip'].includes(view.path[0] ?? '')
}

function getOf({ surface, target, expected }: Query): UpstreamRequest {
  return { method: 'GET', surface, path: target, expected }
}

function originOf({ origin }: { readonly origin?: Origin }): { origin?: Origin } {
  return origin ? { origin } : {}
}

/** No answer, and with what it was tried. */
export class LookupError extends ProxyError {
  readonly origin: Origin | undefined

  constructor({ code, origin, ...details }: Failure) {
    super(code, details)
    this.origin = origin
  }
}
