import { stringify } from 'csv-stringify/sync'
import { isRecord } from '@ipfleet/core/json.ts'
import { plainFields } from './record-fields.ts'

export const formats = ['ndjson', 'csv', 'tsv', 'json'] as const
/** Also the extension of a file that holds it. */
export type Format = (typeof formats)[number]

export const contentTypes: Readonly<Record<Format, string>> = {
  ndjson: 'application/x-ndjson',
  csv: 'text/csv; charset=utf-8',
  tsv: 'text/tab-separated-values; charset=utf-8',
  json: 'application/json; charset=utf-8',
}

export interface FormatOptions {
  /** Members of the record besides the input; undefined: whole records. */
  readonly fields: readonly string[] | undefined
  /**
   * Whether a spreadsheet may open the CSV: a cell that begins with `=`, `+`, `-`, `@`, a tab or CR would be a formula
   * there, and gets a `'` in front (OWASP, CSV Injection).
   */
  readonly forSpreadsheets?: boolean
  /** Bytes that Excel knows as UTF-8, cells that it neither runs nor takes for numbers. */
  readonly forExcel?: boolean
  /** Of a table: its columns in place of the input and the fields. */
  readonly columns?: readonly string[] | undefined
}

/** A result line, parsed. */
export type ResultRow = Readonly<Record<string, unknown>>

/**
 * How results are laid out in a file or an answer. The line ends show what was written before an interruption, so that
 * writing can continue behind it.
 */
export interface RowWriter {
  readonly head: string
  readonly tail: Buffer | string
  /** In place of both where there are no rows; undefined: both. */
  readonly empty?: string
  /**
   * @param lines whole lines of NDJSON, each with its line end
   * @param isFirst right behind the head, or behind what an earlier run has written
   */
  readonly rows: (lines: Buffer, isFirst: boolean) => Buffer | string
  /** The same of lines that are parsed already; undefined: they have to be written as lines. */
  readonly parsedRows?: (rows: readonly ResultRow[]) => string
}

export function rowWriter(format: Format, options: FormatOptions): RowWriter {
  if (format === 'json') return jsonRows
  if (format === 'ndjson') return { head: '', tail: '', rows: (lines) => lines }
  const columns = options.columns ?? ['input', ...(options.fields ?? plainFields), 'error']
  const layout = { ...options, delimiter: format === 'tsv' ? '\t' : ',' }
  const head = `${options.forExcel === true ? '\ufeff' : ''}${tableOf([columns], layout)}`
  const parsedRows = (rows: readonly ResultRow[]): string =>
    tableOf(
      rows.map((row) => columns.map((column) => cellOf(valueOf(row, column)))),
      layout,
    )
  const rows = (lines: Buffer): string =>
    parsedRows(
      lines
        .toString()
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as ResultRow),
    )
  return { head, tail: '', rows, parsedRows }
}

/** Each element is followed by its comma or by the end of the array, so that one at the end of a line is whole. */
const jsonRows: RowWriter = {
  head: '[\n',
  tail: '\n]\n',
  empty: '[]\n',
  // Latin-1 keeps the bytes of UTF-8 as they are, and no string of JSON holds a bare newline.
  rows: (lines, isFirst) => {
    const elements = lines.toString('latin1', 0, lines.length - 1).replaceAll('\n', ',\n')
    return Buffer.from(isFirst ? elements : `,\n${elements}`, 'latin1')
  },
}

/**
 * Result lines in a format, as the body of an answer. One piece comes out for each that goes in.
 * @param lines pieces of whole lines of NDJSON
 * @param continues the client has what comes before these lines: no CSV header
 */
export async function* inFormat(
  format: Format,
  lines: AsyncIterable<Buffer>,
  { continues, ...options }: FormatOptions & { readonly continues: boolean },
): AsyncGenerator<Buffer> {
  const { head, tail, empty, rows } = rowWriter(format, options)
  const isTable = format === 'csv' || format === 'tsv'
  if (head !== '' && empty === undefined && !(isTable && continues)) yield Buffer.from(head)
  let isFirst = true
  for await (const piece of lines) {
    const body = Buffer.from(rows(piece, isFirst))
    yield isFirst && empty !== undefined ? Buffer.concat([Buffer.from(head), body]) : body
    isFirst = false
  }
  const end = isFirst ? (empty ?? tail) : tail
  if (end.length > 0) yield Buffer.from(end as string)
}

/** Where lists are separated by semicolons, a spreadsheet starts a cell behind one unless the field is quoted. */
const separators = /[;\t]/

function tableOf(
  rows: readonly (readonly string[])[],
  { forSpreadsheets = false, forExcel = false, delimiter }: FormatOptions & { readonly delimiter: string },
): string {
  if (forExcel)
    return stringify(
      rows.map((row) => row.map(cellForExcel)),
      { delimiter, quoted: true, record_delimiter: 'windows' },
    )
  const guards = forSpreadsheets ? { escape_formulas: true, quoted_match: separators } : {}
  return stringify(rows as string[][], { ...guards, delimiter })
}

/** Leading zeros (postal codes) stay only in a formula of a text, and a formula of the data has to be none. */
function cellForExcel(cell: string): string {
  if (/^0\d+$/.test(cell)) return `="${cell}"`
  return /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell
}

/** Of a row, in a column of a table. */
export function valueOf(result: ResultRow, column: string): unknown {
  return column === 'error' ? titleOf(result) : result[column]
}

/** A nested value is written as JSON, an error as its title. */
function cellOf(value: unknown): string {
  if (value === undefined || value === null) return ''
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** An address that no network owns has no other cells. */
function titleOf({ error, bogon }: Readonly<Record<string, unknown>>): string {
  if (isRecord(error)) return cellOf(error['title'])
  // A column of the list may be called so.
  if (error !== undefined) return cellOf(error)
  return bogon === true ? 'Bogon' : ''
}
