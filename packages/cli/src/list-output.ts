import type { Writable } from 'node:stream'
import { summaryWriter } from '@ipfleet/ip-lists/ip-summary.ts'
import { isDelimited, type RowWriter, rowWriter } from '@ipfleet/ip-lists/result-format.ts'
import type { ResultRow } from '@ipfleet/ip-lists/result-line.ts'
import type { BulkOptions } from './command-options.ts'
import type { InputReader } from './input-reader.ts'
import type { ListRow, Own } from './list-rows.ts'
import { type OutputPlan, ResultOutput, type RowJoin, type RunBefore, toStream } from './output.ts'
import { OwnColumns } from './own-columns.ts'
import type { ParquetType } from './parquet-file.ts'
import { fieldTypes, parquetWriter } from './parquet-writer.ts'
import type { Source } from './sources.ts'

/**
 * What the next rows of the lists, of which these are the results, have of their own; up to the first result that would
 * be joined with what another row has.
 */
export type OwnOf = (
  results: readonly ResultRow[],
) => readonly (Own | undefined)[] | Promise<readonly (Own | undefined)[]>

/** Reads the lists beside their results. @param skip rows of which there are results already */
export function ownByReading(reader: InputReader, skip: number): OwnOf {
  const groups = reader.rows(skip)
  let held: readonly ListRow[] = []
  return async (results) => {
    while (held.length < results.length) {
      // oxlint-disable-next-line no-await-in-loop -- one group after the other
      const next = await groups.next()
      if (next.done === true) break
      held = held.concat(next.value)
    }
    const rows = held.slice(0, results.length)
    held = held.slice(results.length)
    // The results of a job that was cancelled have gaps.
    const end = results.findIndex(({ input }, at) => rows[at]?.own !== undefined && input !== rows[at].input)
    return results.slice(0, end < 0 ? undefined : end).map((_, at) => rows[at]?.own)
  }
}

/** What is known of the lists that results are of. */
export interface OwnOfLists {
  readonly columns: readonly string[] | undefined
  readonly types: ReadonlyMap<string, ParquetType> | undefined
  /** Undefined: the results get nothing of theirs. */
  readonly own: OwnOf | undefined
}

interface OutputDeps {
  readonly options: BulkOptions
  readonly sources: readonly Source[]
  readonly plan: OutputPlan
  readonly before: RunBefore | undefined
  readonly stdout: Writable
}

/** Opens the output of a run, whose rows keep what those of the lists have of their own. @throws CommandFault */
export async function openOutput(
  { options, sources, plan, before, stdout }: OutputDeps,
  { own, ...lists }: OwnOfLists,
  fields: readonly string[] | undefined,
): Promise<{ readonly output: ResultOutput; readonly ownColumns: OwnColumns }> {
  const { format, prefix, sumsUp } = options
  const isTable = isDelimited(format) || format === 'parquet'
  const columns = own && !(isTable && sources.length > 1) ? lists.columns : undefined
  const hasValues = columns !== undefined && isDelimited(format)
  const ownColumns = new OwnColumns(columns ?? [], prefix)
  const ofTable = isTable && columns ? ownColumns : undefined
  const rows = sumsUp ? summaryWriter() : await rowsOf(options, fields, ofTable, lists.types)
  const joinWith =
    (ownOf: OwnOf): RowJoin =>
    async (given) => {
      const ownRows = await ownOf(given)
      const results = ownRows.length < given.length ? given.slice(0, ownRows.length) : given
      ofTable?.noteLeftOut(ownRows)
      return hasValues ? ownColumns.joinedValues(results, ownRows, fields) : ownColumns.joined(results, ownRows)
    }
  const layout = { fields, join: own === undefined || sumsUp ? undefined : joinWith(own) }
  const output =
    plan.kind === 'stream'
      ? new ResultOutput(rows, toStream(stdout), layout)
      : await ResultOutput.toFile(plan.path, rows, before?.rows.bytes ?? 0, layout)
  return { output, ownColumns }
}

/** @param own columns of the list; undefined: the results have none of them, or no columns at all */
async function rowsOf(
  { format, for: app }: BulkOptions,
  fields: readonly string[] | undefined,
  own: OwnColumns | undefined,
  types: OwnOfLists['types'],
): Promise<RowWriter> {
  if (format !== 'parquet') {
    return rowWriter(format, { fields, forExcel: app === 'excel', columns: own?.columnsWith(fields) })
  }
  const all = own ?? new OwnColumns([], undefined)
  const columns = [...(own ? [] : ['input']), ...all.columnsWith(fields)]
  return parquetWriter(columns, new Map([...fieldTypes(all.addedWith(fields)), ...(own ? (types ?? []) : [])]))
}
