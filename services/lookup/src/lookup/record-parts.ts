import { Entry } from '@ipfleet/cache/entry.ts'
import type { QueryResult } from './answered.ts'
import { type Query, requestOf } from '../query/query.ts'
import { type View, viewOf } from '../query/record-view.ts'
import type { Upstream } from '../upstream/upstream.ts'

/** The record that holds the answer: of most queries it is the answer. */
export const recordOf = (query: Query): Query => query.within?.record ?? query

/**
 * What a record says to a query about a part of it: as old as the record, and of the same provider. Undefined when the
 * record cannot tell.
 */
export function partOf(record: QueryResult, within: Query['within']): QueryResult | undefined {
  if (!within || record.kind !== 'answered') return record
  const { answer, storedAtMs, freshForMs } = record.entry
  const part = viewOf(answer, within.view)
  const mark = answer.isFallback && { isFallback: answer.isFallback }
  return part && { ...record, entry: new Entry({ ...part, ...mark }, storedAtMs, freshForMs) }
}

/** The record of a query about a part that the records of all plans hold alike, if upstream wants any key for it. */
export function partialRecord({ within }: Query, upstream: Upstream): Query | undefined {
  if (!within || !isInEveryPlan(within.record, within.view)) return undefined
  return upstream.prefersPartial?.(requestOf(within.record)) === true ? within.record : undefined
}

/** The name by which such a record is cached. No request target holds a space. */
export const partialName = ({ target }: Query): string => `fields of ${target}`

function isInEveryPlan({ surface }: Query, view: View): boolean {
  if (surface === 'legacy') return view.kind === 'geo' || view.absentIsEmpty
  return view.kind === 'field' && ['geo', 'as', 'hostname', 'ip'].includes(view.path[0] ?? '')
}
