import { type Answer, Entry } from '@ipfleet/cache/entry.ts'
import { inSlices } from '@ipfleet/cache/in-slices.ts'
import type { Failure, Origin } from '@ipfleet/cache/outcome.ts'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { toldWith } from '../http/exhausted-status.ts'
import { BatchBody, batchValue, type BatchValue } from './batch-body.ts'
import {
  type AnswerEnd,
  type Answered,
  type AnswerSource,
  BatchError,
  type ItemCounts,
  LookupError,
  type QueryResult,
} from './answered.ts'

/** What came of one item. `refused`: it makes no sense, and nothing was asked. */
export type ItemResult = QueryResult | { readonly kind: 'refused'; readonly error: ProxyError }

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

export interface BatchEnd {
  /** Empty results are left out. */
  readonly dropsEmpty: boolean
  /** Of an item that no key may ask now. */
  readonly exhaustedStatus: number
  /** Monotonic. */
  readonly nowMs: number
  /** Queries put to upstream. */
  readonly units: number
  /** Of the first load that tells. */
  readonly origin: Origin | undefined
}

/**
 * The answer to a batch out of those to its items. It is as old as the oldest of them, and fresh for as long as all are.
 * @throws BatchError when nothing was answered and something failed: a failure of the whole, as if it had been one item
 */
export async function batchAnswer(
  results: readonly (readonly [item: string, ItemResult])[],
  { dropsEmpty, exhaustedStatus, nowMs, units, origin }: BatchEnd,
): Promise<Answered> {
  const items = countsOf(results)
  const source = tellingFirst.find((one) => items[one] !== undefined) ?? 'local'
  if (items.error !== undefined && tellingFirst.every((one) => items[one] === undefined)) {
    throw new BatchError(tellingFailure(results), { items, units })
  }
  const body = new BatchBody(results.length)
  let oldestMs = nowMs
  let freshUntilMs = Infinity
  let mark: Pick<Answer, 'isFallback'> = {}
  await inSlices(results, ([item, result]) => {
    const value = valueOf(result, exhaustedStatus)
    if (result.kind === 'answered') {
      if (result.entry.isFallback) mark = { isFallback: true }
      oldestMs = Math.min(oldestMs, result.entry.storedAtMs)
      freshUntilMs = Math.min(freshUntilMs, nowMs + result.entry.freshLeftMs(nowMs))
    }
    if (!dropsEmpty || !value.isEmpty) body.add(item, value)
  })
  const freshForMs = Number.isFinite(freshUntilMs) ? Math.max(0, freshUntilMs - oldestMs) : 0
  const answer = {
    status: 200,
    contentType: 'application/json; charset=utf-8',
    body: body.bytes(),
    ...mark,
  }
  return {
    source,
    entry: new Entry(answer, oldestMs, freshForMs),
    items,
    units,
    ...(origin && { origin }),
    ...retryOf(results),
  }
}

function valueOf(result: ItemResult, exhaustedStatus: number): BatchValue {
  if (result.kind === 'answered') return batchValue(result.entry.passingAnswer)
  const error = result.kind === 'refused' ? result.error : new LookupError(result.failure)
  return { json: Buffer.from(toldWith(exhaustedStatus, error).body()), isEmpty: false }
}

function countsOf(results: readonly (readonly [string, ItemResult])[]): ItemCounts {
  const counts: Partial<Record<AnswerEnd, number>> = {}
  for (const [, result] of results) {
    const end = result.kind === 'answered' ? result.source : result.kind === 'failed' ? 'error' : 'refused'
    counts[end] = (counts[end] ?? 0) + 1
  }
  return counts
}

/** The soonest that any of the items that failed may be answered. */
function retryOf(results: readonly (readonly [string, ItemResult])[]): Pick<Answered, 'retryAfterSeconds'> {
  const seconds = results.flatMap(([, one]) => (one.kind === 'failed' ? (one.failure.retryAfterSeconds ?? []) : []))
  return seconds.length === 0 ? {} : { retryAfterSeconds: Math.min(...seconds) }
}

/** The failure that a client can do most about: one that says when to come again. */
function tellingFailure(results: readonly (readonly [string, ItemResult])[]): Failure {
  const failures = results.flatMap(([, result]) => (result.kind === 'failed' ? [result.failure] : []))
  const telling = failures.find(({ retryAfterSeconds }) => retryAfterSeconds !== undefined) ?? failures[0]
  return telling ?? { kind: 'failure', code: 'internal' }
}
