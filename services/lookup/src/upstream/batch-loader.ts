import { setImmediate as nextTurn } from 'node:timers/promises'
import { isRecord } from '@ipfleet/core/json.ts'
import type { Settle } from '@ipfleet/cache/flight/load.ts'
import { sliceLength } from '@ipfleet/cache/in-slices.ts'
import type { Outcome } from '@ipfleet/cache/outcome.ts'
import type { LoadPurpose } from '@ipfleet/cache/finding.ts'
import type { Answer } from '@ipfleet/cache/entry.ts'
import { isRecordOf } from '@ipfleet/upstream/record-address.ts'
import type { UpstreamAnswer } from '@ipfleet/upstream/reply.ts'
import type { SharedLifetime } from '@ipfleet/upstream/shared-lifetime.ts'
import type { UpstreamRequest } from '@ipfleet/upstream/upstream-request.ts'
import { type FallbackUpstream, isDown } from './fallback-upstream.ts'
import { PartSize } from './part-size.ts'
import { BatchReading, type BatchValues, isRefusal, unusable, valuesIn } from './batch-reading.ts'
import type { Span } from './json-members.ts'
import { type Query, requestOf } from '../query/query.ts'
import type { Upstream } from './upstream.ts'
import type { HeldLimit } from './upstream-tries.ts'

export interface BatchLoaderDeps {
  readonly upstream: Pick<Upstream, 'load'>
  /** Answers item by item when upstream is down or has no key left. */
  readonly fallback?: Pick<FallbackUpstream, 'load' | 'firstDeadlineMs' | 'standIn'>
  /** How long the answer to a path may be cached; see `freshForMs`. */
  readonly freshForMs: (path: string, answer: UpstreamAnswer, mayThreaten?: boolean) => number
  /** The product that a query is of: a batch holds items of one, so that a verdict about it touches no other. */
  readonly productOf?: (query: Query) => string
  /** Whether upstream takes batches at all. Default true; if not, each query is asked by itself. */
  readonly takesBatches?: boolean
}

/** What IPinfo takes in one batch. */
const maxItems = 1000
/** Requests to upstream at a time, of one load. */
const chunksAtATime = 4
const singlesAtATime = 16

/** A batch path of upstream, and what is cut off the target of a query to be its item there. */
interface Route {
  readonly surface: UpstreamRequest['surface']
  readonly path: string
  readonly cut: string
}

const routes = {
  legacy: { surface: 'legacy', path: '/batch', cut: '/' },
  api: { surface: 'api', path: '/batch', cut: '/' },
  // Lite has a batch of its own, which costs no quota.
  lite: { surface: 'api', path: '/batch/lite', cut: '/lite/' },
} as const satisfies Record<string, Route>

/** To find one item for which batches are refused takes about twenty requests, one after another. */
const maxRefused = 4

export interface LoadTerms {
  /** Monotonic, over all requests. */
  readonly deadlineMs: number
  /** Default `answer`. */
  readonly purpose?: LoadPurpose
  /** Of each key's limit, from 0 to 1: left to others. Default 0. */
  readonly reserveShare?: number
}

interface Chunk {
  readonly route: Route
  readonly product: string
  readonly queries: readonly Query[]
}

/**
 * Asks upstream many queries in as few requests as it takes, and gives each the outcome that it would have had if
 * it had been asked alone.
 */
export class BatchLoader {
  readonly #deps: BatchLoaderDeps
  /** What is asked of queries that no batch takes. */
  readonly #single: Pick<Upstream, 'load'>

  constructor(deps: BatchLoaderDeps) {
    this.#deps = deps
    this.#single = deps.fallback ?? deps.upstream
  }

  /** Settles every query, by its target, as answers come in. What goes wrong is an outcome too. */
  async load(queries: readonly Query[], terms: LoadTerms, settle: Settle<Outcome>): Promise<void> {
    const { takesBatches = true, productOf = () => 'core' } = this.#deps
    if (!takesBatches) {
      const { deadlineMs, ...options } = terms
      return askSingly(queries, (request) => this.#single.load(request, deadlineMs, options), settle)
    }
    const chunks = [...Map.groupBy(queries, routeOf)].flatMap(([route, ofRoute]) =>
      [...Map.groupBy(ofRoute, productOf)].flatMap(([product, group]) =>
        slicesOf(group, maxItems).map((slice) => ({ route, product, queries: slice })),
      ),
    )
    await eachOf(chunks, chunksAtATime, (chunk) => this.#askChunk(chunk, terms, settle))
  }

  /**
   * Goes on with the next key where one ran dry or may not ask this, in smaller parts where no key has enough left for
   * all or upstream refuses the batch as a whole, and item by item where no key's plan, or upstream, has batches. An item
   * that is refused even alone was to blame, and not the size: it is asked singly, and the parts grow again. Ends at the
   * latest when no key has anything left, or time is up.
   */
  async #askChunk({ route, product, queries }: Chunk, { deadlineMs, ...terms }: LoadTerms, settle: Settle<Outcome>) {
    const { upstream, fallback } = this.#deps
    const [first] = queries
    const ownDeadlineMs = (first && fallback?.firstDeadlineMs(requestOf(first), deadlineMs, terms)) ?? deadlineMs
    const heldLimits: HeldLimit[] = []
    const refused: Query[] = []
    const singly = (some: readonly Query[]): Promise<void> =>
      askSingly([...refused, ...some], (request) => this.#single.load(request, deadlineMs, terms), settle)
    const size = new PartSize(queries.length)
    for (let left = queries; left.length > 0;) {
      const part = left.slice(0, size.current)
      const reading = new BatchReading(part.map((query) => itemOf(query, route)))
      const options = { units: route === routes.lite ? 0 : part.length, heldLimits, ...reading.checks, ...terms }
      const outcome = await upstream.load(batchRequest(route, product, part), ownDeadlineMs, options)
      const isRefusedWhole = hasStatus(outcome, ofTheWhole)
      if (part.length > 1 && (isExhausted(outcome) || isRefusedWhole)) {
        size.shrink(part.length)
        continue
      }
      if (isRefusedWhole && refused.length < maxRefused) {
        refused.push(...part)
        left = left.slice(part.length)
        size.acquit()
        continue
      }
      if (isRefusedWhole || (isRefusal(outcome) && !reading.hasValues) || hasStatus(outcome, ofNoSuchBatch)) {
        return singly(left)
      }
      const values = isRefusal(outcome) ? outcome : valuesIn(outcome, reading)
      if ('kind' in values) {
        const all = [...refused, ...left]
        if (values.kind === 'answer' || !isDown(values) || !fallback)
          return settle(new Map(all.map(({ target }) => [target, values])))
        return askSingly(all, (request) => fallback.standIn(values, request, deadlineMs, terms), settle)
      }
      const unpaid = await this.#settlePart(
        { route, product, queries: part },
        { ...values, from: originOf(outcome), lifetime: lifetimeOf(outcome) },
        settle,
      )
      left = [...unpaid, ...left.slice(part.length)]
      size.taken()
    }
    return singly([])
  }

  /** In slices, since hits in memory wait meanwhile. Returns what the key could not pay for. */
  async #settlePart({ route, queries }: Chunk, values: ValuesFrom, settle: Settle<Outcome>): Promise<Query[]> {
    const unpaid: Query[] = []
    await eachInTurn(slicesOf(queries, sliceLength), async (slice) => {
      const outcomes = new Map<string, Outcome>()
      for (const query of slice) {
        const span = values.spans.get(itemOf(query, route))
        if (span && values.unpaid.has(values.answers.statusAt(span))) unpaid.push(query)
        else outcomes.set(query.target, this.#outcomeOf(query, span, values))
      }
      if (outcomes.size > 0) await settle(outcomes)
    })
    return unpaid
  }

  #outcomeOf(
    { target, expected, address }: Query,
    span: Span | undefined,
    { answers, mayThreaten, from, lifetime }: ValuesFrom,
  ): Outcome {
    if (span === undefined) return unusable('upstream_invalid', 'not in the batch', from)
    const answer = { ...answers.at(span), ...lifetime }
    const { status, contentType } = answer
    if (expected === 'json' && isForeign(answer, target, address)) {
      return unusable('upstream_invalid', 'not the record of what was asked', from)
    }
    if (status >= 500 || ofConnection.has(status)) return unusable('upstream_failed', `item status ${status}`, from)
    if (expected !== 'json' || contentType.includes('json'))
      return { kind: 'answer', answer, freshForMs: this.#deps.freshForMs(target, answer, mayThreaten), ...from }
    if (answer.body.length > 1) return unusable('upstream_invalid', 'text instead of json', from)
    // A record that is missing is told by an empty string. Alone, the query would have had another answer: a single
    // query that waits for this one asks for itself.
    return { kind: 'answer', answer, freshForMs: 0, isPrivate: true, ...from }
  }
}

async function askSingly(
  queries: readonly Query[],
  ask: (request: UpstreamRequest) => Promise<Outcome>,
  settle: Settle<Outcome>,
): Promise<void> {
  await eachOf(queries, singlesAtATime, async (query) => {
    await settle(new Map([[query.target, await ask(requestOf(query))]]))
  })
}

function routeOf({ surface, target }: Query): Route {
  if (surface === 'legacy') return routes.legacy
  return target.startsWith(routes.lite.cut) ? routes.lite : routes.api
}

const itemOf = ({ target }: Query, { cut }: Route): string => target.slice(cut.length)

function batchRequest(route: Route, batchOf: string, queries: readonly Query[]): UpstreamRequest {
  const items = queries.map((query) => itemOf(query, route))
  const body = { bytes: Buffer.from(JSON.stringify(items)), contentType: 'application/json' }
  return { method: 'POST', surface: route.surface, path: route.path, body, expected: 'object', batchOf }
}

/** Of a batch as a whole, whose items make sense by themselves: it is too large, or one of them is not taken. */
const ofTheWhole: ReadonlySet<number> = new Set([400, 413, 422])
/** Upstream has no batches there. */
const ofNoSuchBatch: ReadonlySet<number> = new Set([404, 405, 410, 411, 415, 501])

function hasStatus(outcome: Outcome, statuses: ReadonlySet<number>): boolean {
  return outcome.kind === 'answer' && statuses.has(outcome.answer.status)
}

const isExhausted = (outcome: Outcome): boolean => outcome.kind === 'failure' && outcome.code === 'keys_exhausted'

interface ValuesFrom extends BatchValues {
  readonly from: Pick<Outcome, 'origin'>
  /** What upstream said of keeping the batch holds for each of its items. */
  readonly lifetime: SharedLifetime
}

const originOf = ({ origin }: Outcome): Pick<Outcome, 'origin'> => (origin ? { origin } : {})

function lifetimeOf(outcome: Outcome): SharedLifetime {
  if (outcome.kind === 'failure') return {}
  const { maxFreshMs, isPrivate }: UpstreamAnswer = outcome.answer
  return { ...(maxFreshMs !== undefined && { maxFreshMs }), ...(isPrivate && { isPrivate }) }
}

/** They say nothing about the item. */
const ofConnection: ReadonlySet<number> = new Set([408, 421, 425])

/** Whether it is no record, or another's. Nearly all name their address first, and are not parsed for it. */
function isForeign({ status, contentType, body }: Answer, target: string, address: string | undefined): boolean {
  if (status !== 200 || !contentType.includes('json')) return false
  const named = /^\{\s*"ip":\s*"([^"]*)"/.exec(body.toString('latin1', 0, 100))?.[1]
  if (named !== undefined && named === address) return false
  const value: unknown = JSON.parse(body.toString('utf8'))
  return !isRecord(value) || !isRecordOf(value, target)
}

function slicesOf<T>(all: readonly T[], size: number): T[][] {
  const count = Math.ceil(all.length / size)
  return Array.from({ length: count }, (_, at) => all.slice(at * size, (at + 1) * size))
}

/** Begins `work` on each in a turn of the event loop of its own, and waits for none before the next. */
async function eachInTurn<T>(all: readonly T[], work: (one: T) => Promise<unknown>): Promise<void> {
  const begun = all.map(async (one, at) => {
    for (let turn = 0; turn < at; turn += 1) await nextTurn()
    await work(one)
  })
  await Promise.all(begun)
}

/** Runs `work` on each, so many at a time. */
async function eachOf<T>(all: readonly T[], atATime: number, work: (one: T) => Promise<unknown>): Promise<void> {
  const left = all.values()
  const worker = async (): Promise<void> => {
    for (const one of left) await work(one)
  }
  await Promise.all(Array.from({ length: Math.min(atATime, all.length) }, worker))
}
