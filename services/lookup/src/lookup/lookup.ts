import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { Entry } from '@ipfleet/cache/entry.ts'
import { inSlices } from '@ipfleet/cache/in-slices.ts'
import type { UpstreamRequest } from '@ipfleet/upstream/upstream-request.ts'
import { type Answered, LookupError, type QueryResult } from './answered.ts'
import { batchAnswer, type ItemResult } from './batch-answer.ts'
import { Search, type SearchDeps } from './search.ts'
import type { CacheDirectives } from '../http/cache-directives.ts'
import { type BatchForm, type BatchItem, readItem } from '../query/batch-item.ts'
import type { Query } from '../query/query.ts'

export interface BatchRequest extends BatchForm {
  /** As the client wrote them. */
  readonly items: readonly string[]
  readonly directives: CacheDirectives
  /** Of each API key's limit, from 0 to 1: left to look-ups that a client waits for. */
  readonly reserveShare: number
  /** No client waits for it: it does not push out of memory what others ask for. */
  readonly isBackground: boolean
  /** Of an item that no key may ask now. */
  readonly exhaustedStatus: number
  /** Of the client, for items that are about the caller. */
  readonly ownAddress: () => string
}

export type LookupDeps = Omit<SearchDeps, 'clock'> & { readonly clock?: Clock }

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
    const result = results.get(query.target) ?? internal
    if (result.kind === 'failed') throw new LookupError(result.failure)
    return result
  }

  /**
   * The object with the answer to each item, in their order; an item that appears twice is asked and answered once.
   * What is wrong with one item is told in its place.
   * @throws BatchError when upstream is needed and not one of the items could be answered
   */
  async answerMany(request: BatchRequest): Promise<Answered> {
    const { items, prefix, dropsEmpty, exhaustedStatus, ownAddress, directives } = request
    const distinct = [...new Set(items)]
    const read: BatchItem[] = []
    await inSlices(distinct, (item) => void read.push(readItem(item, prefix, ownAddress)))
    const search = new Search(this.#deps, { directives, batch: request })
    const results = await search.results(read.flatMap((one) => (one.kind === 'query' ? [one.query] : [])))
    const nowMs = this.#deps.clock.nowMs()
    const byItem = read.map((one, at): [string, ItemResult] => [
      distinct[at] as string,
      one.kind === 'error' ? { kind: 'refused', error: one.error } : (results.get(one.query.target) ?? internal),
    ])
    const { origin, units } = search
    return batchAnswer(byItem, { dropsEmpty, exhaustedStatus, nowMs, units, origin })
  }

  /**
   * One request to upstream that is no other client's business: an account, a map.
   * @throws ProxyError
   */
  async direct(request: UpstreamRequest): Promise<Answered> {
    const { upstream, requestTimeoutMs, clock } = this.#deps
    if (!upstream) throw new ProxyError('no_offline_answer')
    const outcome = await upstream.loader.load(request, clock.nowMs() + requestTimeoutMs)
    if (outcome.kind === 'failure') throw new LookupError(outcome)
    const { answer, origin } = outcome
    return { source: 'bypass', entry: new Entry(answer, clock.nowMs(), 0), ...(origin && { origin }) }
  }
}

const internal: QueryResult = { kind: 'failed', failure: { kind: 'failure', code: 'internal' } }
