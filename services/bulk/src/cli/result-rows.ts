import { csvColumns, csvHeader, csvRows } from '../results/csv-rows.ts'
import type { Format } from '../results/result-format.ts'

/**
 * How results are laid out, as the fleet does it. What was written before an interruption can be told by its line ends,
 * and gone on from.
 */
export interface RowWriter {
  /** Before the first result. */
  readonly head: string
  /** After the last one. */
  readonly tail: string
  /**
   * @param lines whole lines of NDJSON, each with its line end
   * @param isFirst right behind the head, or behind what was gone on from
   */
  rows(lines: Buffer, isFirst: boolean): Buffer | string
}

/** @param fields the columns of a CSV; undefined: the usual ones */
export function rowWriter(format: Format, fields: readonly string[] | undefined): RowWriter {
  if (format === 'json') return jsonRows
  if (format === 'ndjson') return { head: '', tail: '', rows: (lines) => lines }
  const columns = csvColumns(fields)
  return { head: csvHeader(columns), tail: '', rows: (lines) => csvRows(lines.toString(), columns) }
}

/** An element is followed by its comma or the end of the array, so that one at the end of a line is whole. */
const jsonRows: RowWriter = {
  head: '[\n',
  tail: '\n]\n',
  // No string of JSON holds a bare newline.
  rows: (lines, isFirst) => (isFirst ? '' : ',\n') + lines.toString().trimEnd().replaceAll('\n', ',\n'),
}

/** How many lines there are before the first result. */
export const headLines = (format: Format): number => (format === 'ndjson' ? 0 : 1)
