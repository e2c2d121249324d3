import { stringify } from 'csv-stringify/sync'
import { plainFields } from './record-fields.ts'

export interface CsvOptions {
  /**
   * Whether spreadsheets may open it: a cell that begins with `=`, `+`, `-`, `@`, a tab or CR would be a formula there,
   * and gets a `'` in front (OWASP, CSV Injection).
   */
  readonly forSpreadsheets?: boolean
}

export function csvColumns(fields: readonly string[] | undefined): readonly string[] {
  return ['input', ...(fields ?? plainFields), 'error']
}

export function csvHeader(columns: readonly string[], options: CsvOptions = {}): string {
  return written([columns], options)
}

/** Rows of result lines (NDJSON). What is nested stands as JSON; of an error its title. */
export function csvRows(lines: string, columns: readonly string[], options: CsvOptions = {}): string {
  const rows = lines
    .trimEnd()
    .split('\n')
    .map((line) => {
      const result = JSON.parse(line) as Readonly<Record<string, unknown>>
      return columns.map((column) => (column === 'error' ? titleOf(result[column]) : cellOf(result[column])))
    })
  return written(rows, options)
}

/** Where lists are parted by semicolons, a spreadsheet takes one for the beginning of a cell unless it is quoted. */
const partsCells = /[;\t]/

function written(rows: readonly (readonly string[])[], { forSpreadsheets = false }: CsvOptions): string {
  const options = forSpreadsheets ? { escape_formulas: true, quoted_match: partsCells } : {}
  return stringify(
    rows.map((row) => [...row]),
    options,
  )
}

function cellOf(value: unknown): string {
  if (value === undefined || value === null) return ''
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function titleOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'title' in error ? String(error.title) : ''
}
