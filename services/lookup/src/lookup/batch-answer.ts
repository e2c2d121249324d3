import { type Answer, Entry } from '@ipfleet/cache/entry.ts'
import { inSlices } from '@ipfleet/cache/in-slices.ts'
import type { Failure, Origin } from '@ipfleet/cache/outcome.ts'
import type { ProxyError } from '@ipfleet/core/proxy-error.ts'
import type { CacheDirectives } from '../http/cache-directives.ts'
import { toldWith } from '../http/exhausted-status.ts'
import type { BatchForm } from '../query/batch-items.ts'
import { BatchBody, batchValue, type BatchValue } from './batch-body.ts'
import {
  type AnswerEnd,
  type Answered,
  type AnswerSource,
  BatchError,
  endOf,
  type ItemCounts,
  LookupError,
  originOf,
  type QueryResult,
} from './answered.ts'

export interface BatchRequest extends BatchForm {
  /** As the client wrote them. */
  readonly items: readonly string[]
  readonly directives: CacheDirectives
  /** Of each API key's limit, from 0 to 1: left to look-ups that a client waits for. */
  readonly reserveShare: number
  /**
   * No client waits for it: it does not push out of memory what others ask for, and the embedded database does not stand
   * in for upstream.
   */
  readonly isBackground: boolean
  /** Of an item that no key may ask now. */
  readonly exhaustedStatus: number
  /** Of the client, for items that are about the caller. */
  readonly ownAddress: () => string
}

/** What came of one item. `refused`: it makes no sense, and nothing was asked. */
export type ItemResult = QueryResult | { readonly kind: 'refused'; readonly error: ProxyError }
type Result = readonly [item: string, ItemResult]

/**
 * Of the sources of its items, the one that a whole batch is said to be from: first what a client should know of (it
 * is not the newest, not upstream's), then what took longest.
 */
const tellingFirst = [
  'offline',
  'stale',
  'bypass',
  'upstream',
  'collapsed',
  'l2',
  'l1',
  'local',
] as const satisfies readonly AnswerSource[]

/** What the search for the items came to. */
export interface BatchEnd {
  /** Monotonic. */
  readonly nowMs: number
  /** Queries put to upstream. */
  readonly units: number
  /** Of the first load that tells. */
  readonly origin: Origin | undefined
}

/**
 * The object with the answer to each item, in their order. What is wrong with one item is told in its place.
 * @throws BatchError when nothing was answered and something failed: a failure of the whole, as if it had been one item
 */
export async function batchAnswer(
  results: readonly Result[],
  request: BatchRequest,
  { nowMs, units, origin }: BatchEnd,
): Promise<Answered> {
  const items = countsOf(results)
  const source = tellingFirst.find((one) => items[one] !== undefined)
  if (source === undefined && results.some(([, { kind }]) => kind === 'failed'))
    throw new BatchError(tellingFailure(results), { items, units })
  const entry = await entryOf(results, request, nowMs)
  return { source: source ?? 'local', entry, items, units, ...originOf({ origin }), ...retryOf(results) }
}

/** As old as the oldest of the items, and fresh for as long as all are. */
async function entryOf(
  results: readonly Result[],
  { dropsEmpty, exhaustedStatus }: BatchRequest,
  nowMs: number,
): Promise<Entry> {
  const body = new BatchBody(results.length)
  let oldestMs = nowMs
  let freshUntilMs = Infinity
  let mark: Pick<Answer, 'isFallback'> = {}
  await inSlices(results, ([item, result]) => {
    const value = valueOf(result, exhaustedStatus)
    if (result.kind === 'answered') {
      if (result.entry.head.isFallback) mark = { isFallback: true }
      oldestMs = Math.min(oldestMs, result.entry.storedAtMs)
      freshUntilMs = Math.min(freshUntilMs, nowMs + result.entry.freshLeftMs(nowMs))
    }
    if (!dropsEmpty || !value.isEmpty) body.add(item, value)
  })
  const freshForMs = Number.isFinite(freshUntilMs) ? Math.max(0, freshUntilMs - oldestMs) : 0
  const answer = { status: 200, contentType: 'application/json; charset=utf-8', body: body.bytes(), ...mark }
  return new Entry(answer, oldestMs, freshForMs)
}

function valueOf(result: ItemResult, exhaustedStatus: number): BatchValue {
  if (result.kind === 'answered') return batchValue(result.entry.answer)
  const error = result.kind === 'refused' ? result.error : new LookupError(result.failure)
  return { json: Buffer.from(toldWith(exhaustedStatus, error).body()), isEmpty: false }
}

function countsOf(results: readonly Result[]): ItemCounts {
  const counts: Partial<Record<AnswerEnd, number>> = {}
  for (const [, result] of results) {
    const end = endOfItem(result)
    counts[end] = (counts[end] ?? 0) + 1
  }
  return counts
}

function endOfItem(result: ItemResult): AnswerEnd {
  if (result.kind === 'answered') return result.source
  return result.kind === 'refused' ? 'refused' : endOf(result.failure)
}

/** The soonest that any of the items that failed may be answered. */
function retryOf(results: readonly Result[]): Pick<Answered, 'retryAfterSeconds'> {
  const seconds = results.flatMap(([, one]) => (one.kind === 'failed' ? (one.failure.retryAfterSeconds ?? []) : []))
  return seconds.length === 0 ? {} : { retryAfterSeconds: Math.min(...seconds) }
}

/** The failure that a client can do most about: one that says when to come again. */
function tellingFailure(results: readonly Result[]): Failure {
  const failures = results.flatMap(([, result]) => (result.kind === 'failed' ? [result.failure] : []))
  const telling = failures.find(({ retryAfterSeconds }) => retryAfterSeconds !== undefined) ?? failures[0]
  return telling ?? { kind: 'failure', code: 'internal' }
}
