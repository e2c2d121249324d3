import type { AnswerCache } from '@ipfleet/cache/answer-cache.ts'
import { Entry } from '@ipfleet/cache/entry.ts'
import { originOf, type QueryResult, type Results, resultOf } from './answered.ts'
import { type Query, requestOf } from '../query/query.ts'
import { type View, viewOf } from '../query/record-view.ts'
import type { Upstream } from '../upstream/upstream.ts'

/** Queries by target; a record that is cached under another name, by that. */
export type Queries = ReadonlyMap<string, Query>

export interface FindPartsDeps {
  readonly cache: AnswerCache
  readonly upstream: Upstream
  /** It is one query, and no batch. */
  readonly isAlone: boolean
  /** Finds each as a cached answer of its own. */
  readonly findWhole: (queries: Queries, results: Results, isPartial?: boolean) => Promise<void>
}

/** Finds each as a part of a record, as old as the record; by itself where the record cannot tell. */
export async function findParts(queries: Queries, results: Results, deps: FindPartsDeps): Promise<void> {
  const { cache, upstream, isAlone, findWhole } = deps
  const [first] = queries.values()
  const partial = isAlone && first ? partialRecord(first, upstream) : undefined
  const records: Results = new Map()
  if (partial) await findPartial(partial, records, deps)
  else
    await findWhole(
      new Map(
        queries
          .values()
          .map(recordOf)
          .map((query) => [query.target, query]),
      ),
      records,
    )
  const untold = new Map<string, Query>()
  for (const [target, query] of queries) {
    const name = partial ? partialName(partial) : recordOf(query).target
    const record = records.get(name)
    const part = record && partOf(record, query.within)
    if (part) results.set(target, part)
    else untold.set(target, query)
    if (isAlone && part?.kind === 'answered' && record?.kind === 'answered') {
      cache.rememberPart(target, part.entry, { query: name, entry: record.entry })
    }
  }
  if (untold.size > 0) await findWhole(untold, results)
}

/** A record of any plan: kept under a name of its own, it answers what every plan has and stands for no full one. */
async function findPartial(record: Query, records: Results, { cache, findWhole }: FindPartsDeps): Promise<void> {
  const name = partialName(record)
  const full = (await cache.findHeld([record.target])).get(record.target)
  if (full && full.source !== 'stale') records.set(name, resultOf(full))
  else await findWhole(new Map([[name, record]]), records, true)
  const result = records.get(name)
  if (full && result?.kind === 'failed') records.set(name, { ...resultOf(full), ...originOf(result) })
}

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

/** The record that holds the answer: of most queries it is the answer. */
const recordOf = (query: Query): Query => query.within?.record ?? query

/** The record of a query about a part that the records of all plans hold alike, if upstream wants any key for it. */
function partialRecord({ within }: Query, upstream: Upstream): Query | undefined {
  if (!within || !isInEveryPlan(within.record, within.view)) return undefined
  return upstream.prefersPartial?.(requestOf(within.record)) === true ? within.record : undefined
}

/** The name by which such a record is cached. No request target holds a space. */
const partialName = ({ target }: Query): string => `fields of ${target}`

function isInEveryPlan({ surface }: Query, view: View): boolean {
  if (surface === 'legacy') return view.kind === 'geo' || view.absentIsEmpty
  return view.kind === 'field' && ['geo', 'as', 'hostname', 'ip'].includes(view.path[0] ?? '')
}
