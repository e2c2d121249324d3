import { isRecord } from '@ipfleet/core/json.ts'
import { plainFields } from './record-fields.ts'
import { linesOf, type ResultRow, rowsIn } from './result-line.ts'

export const formats = ['ndjson', 'csv', 'tsv', 'json'] as const
/** Also the extension of a file that holds it. */
export type Format = (typeof formats)[number]

/** A row may be over several lines there, and the first names the columns. */
export const isDelimited = (format: string): boolean => format === 'csv' || format === 'tsv'

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

/** The values of a row of a table, by the order of its columns. */
export type RowValues = readonly unknown[]

/**
 * How results are laid out in a file or an answer. The line ends show what was written before an interruption, so that
 * writing can continue behind it.
 */
export interface RowWriter {
  readonly head: string
  readonly tail: Buffer | string
  /** In place of both where there are no rows; undefined: both. */
  readonly empty?: string
  /** Only a table takes values. @param isFirst right behind the head, or behind what an earlier run has written */
  readonly rows: (rows: readonly (ResultRow | RowValues)[], isFirst: boolean) => Buffer | string
  /** The same of whole lines of NDJSON, each with its line end; undefined: they have to be parsed. */
  readonly lines?: (lines: Buffer, isFirst: boolean) => Buffer
}

export function rowWriter(format: Format, options: FormatOptions): RowWriter {
  if (format === 'json') return jsonRows
  if (format === 'ndjson') return { head: '', tail: '', rows: linesOf, lines: (lines) => lines }
  const columns = options.columns ?? ['input', ...(options.fields ?? plainFields), 'error']
  const cell = cellWriter(options, format === 'tsv' ? '\t' : ',')
  const lineOf = (values: RowValues): string =>
    `${values.map(cell).join(format === 'tsv' ? '\t' : ',')}${options.forExcel === true ? '\r\n' : '\n'}`
  const rows: RowWriter['rows'] = (given) =>
    given.map((row) => lineOf(isValues(row) ? row : columns.map((column) => valueOf(row, column)))).join('')
  const head = `${options.forExcel === true ? '\ufeff' : ''}${lineOf(columns)}`
  return { head, tail: '', rows }
}

/** Each element is followed by its comma or by the end of the array, so that one at the end of a line is whole. */
const jsonRows: RowWriter = {
  head: '[\n',
  tail: '\n]\n',
  empty: '[]\n',
  rows: (rows, isFirst) => `${isFirst ? '' : ',\n'}${rows.map((row) => JSON.stringify(row)).join(',\n')}`,
  // Latin-1 keeps the bytes of UTF-8 as they are, and no string of JSON holds a bare newline.
  lines: (lines, isFirst) => {
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
  const writer = rowWriter(format, options)
  const { head, tail, empty } = writer
  if (head !== '' && empty === undefined && !(isDelimited(format) && continues)) yield Buffer.from(head)
  let isFirst = true
  for await (const piece of lines) {
    const body = Buffer.from(writer.lines?.(piece, isFirst) ?? writer.rows(rowsIn(piece), isFirst))
    yield isFirst && empty !== undefined ? Buffer.concat([Buffer.from(head), body]) : body
    isFirst = false
  }
  const end = isFirst ? (empty ?? tail) : tail
  if (end.length > 0) yield Buffer.from(end as string)
}

const isValues = (row: ResultRow | RowValues): row is RowValues => Array.isArray(row)

/** Also as full-width characters, which Apple's Numbers reads so. */
const formula = /^[=+\-@\t\r＝＋－＠]/

/**
 * Writes a value as a cell, by RFC 4180 §2. Where lists are separated by semicolons, a spreadsheet starts a cell behind one
 * unless the field is quoted.
 */
function cellWriter(
  { forSpreadsheets = false, forExcel = false }: FormatOptions,
  delimiter: ',' | '\t',
): (value: unknown) => string {
  const quoted = forExcel ? /[^]/ : new RegExp(`["\n\r${delimiter}${forSpreadsheets ? ';\t' : ''}]`)
  return (value) => {
    const text = textOf(value)
    const cell = forExcel || forSpreadsheets ? guarded(text, forExcel) : text
    return quoted.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell
  }
}

/** For Excel leading zeros (postal codes) stay only in a formula of a text, and a formula of the data has to be none. */
function guarded(cell: string, forExcel: boolean): string {
  if (forExcel && /^0\d+$/.test(cell)) return `="${cell}"`
  return formula.test(cell) ? `'${cell}` : cell
}

/** Of a row, in a column of a table. */
export function valueOf(result: ResultRow, column: string): unknown {
  if (column === 'error') return titleOf(result)
  return Object.hasOwn(result, column) ? result[column] : undefined
}

/** A nested value is written as JSON, an error as its title. */
function textOf(value: unknown): string {
  if (value === undefined || value === null) return ''
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** An address that no network owns has no other cells. */
function titleOf({ error, bogon }: Readonly<Record<string, unknown>>): string {
  if (isRecord(error)) return textOf(error['title'])
  // A column of the list may be called so.
  if (error !== undefined) return textOf(error)
  return bogon === true ? 'Bogon' : ''
}
