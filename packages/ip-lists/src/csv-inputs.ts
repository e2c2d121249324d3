import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { addressColumn, isBareAddress } from './address-columns.ts'
import { csvRows, type CsvRow } from './csv-rows.ts'
import type { InputForm } from './input-form.ts'
import { peekItems } from './peek.ts'

export type CsvForm = Extract<InputForm, { kind: 'csv' }>

export interface CsvLayout {
  readonly hasHeader: boolean
  /** Which field holds the address, from 0. */
  readonly index: number
}

/** The first rows show the layout. */
export const rowsOfLayout = 20

/** How many column names an error lists, and how much of each. */
const listedNames = 20
const listedLength = 40

/**
 * One input for each row of a CSV but its header: the field in the column that the form asks for, or that holds the
 * addresses. A row without that field is an empty input, which gets an error later.
 * @throws ProxyError `bad_request`, `payload_too_large`
 */
export async function* csvInputs(pieces: AsyncIterable<Buffer>, form: CsvForm): AsyncGenerator<readonly string[]> {
  const { first, all } = await peekItems(csvRows(pieces), rowsOfLayout)
  if (first.length === 0) return
  const { hasHeader, index } = csvLayout(first, form)
  let skip = hasHeader ? 1 : 0
  for await (const rows of all) {
    yield rows.slice(skip).map((row) => row[index] ?? '')
    skip = 0
  }
}

/**
 * Where the addresses of a CSV are, by its first rows. Unless the media type says so, the first row is a header if a
 * column is asked for by its name or if no field of the row is an address.
 * @param isAddress what counts as one
 * @throws ProxyError `bad_request` where there is no such column, or none that holds an address
 */
export function csvLayout(
  rows: readonly CsvRow[],
  { column, header }: CsvForm,
  isAddress: (field: string) => boolean = isBareAddress,
): CsvLayout {
  const first = rows[0] ?? []
  if (typeof column === 'string') return { hasHeader: true, index: namedColumn(first, column, header) }
  const hasHeader = header === undefined ? !first.some((field) => isAddress(field)) : header === 'present'
  if (typeof column === 'number') return { hasHeader, index: numberedColumn(rows, column) }
  return { hasHeader, index: columnWithAddress(rows, hasHeader, isAddress) }
}

function namedColumn(first: CsvRow, column: string, header: CsvForm['header']): number {
  if (header === 'absent') {
    const message = 'Without a header row a column is chosen by its number, such as ?column=1'
    throw new ProxyError('bad_request', { message })
  }
  const index = positionOf(first, column)
  if (index !== -1) return index
  const message = `There is no column ${quoted(column)} in the header row; it has ${namesIn(first)}`
  throw new ProxyError('bad_request', { message })
}

function numberedColumn(rows: readonly CsvRow[], column: number): number {
  const width = Math.max(0, ...rows.map(({ length }) => length))
  if (column <= width) return column - 1
  throw new ProxyError('bad_request', { message: `There is no column ${column}: the first rows have ${width}` })
}

function columnWithAddress(rows: readonly CsvRow[], hasHeader: boolean, isAddress: (field: string) => boolean): number {
  const data = hasHeader ? rows.slice(1) : rows
  if (rows.every(({ length }) => length <= 1)) return 0
  const found = addressColumn(hasHeader ? rows[0] : undefined, data, isAddress)
  if (found !== undefined) return found.index
  const which = hasHeader ? `; choose one of ${namesIn(rows[0] ?? [])} with ?column=` : '; choose one with ?column='
  throw new ProxyError('bad_request', { message: `No column holds an address in the first rows of the CSV${which}` })
}

/** Letter case matters only where two columns differ by it alone. */
function positionOf(header: CsvRow, column: string): number {
  const names = header.map((name) => name.trim())
  const exact = names.indexOf(column)
  return exact === -1 ? names.findIndex((name) => name.toLowerCase() === column.toLowerCase()) : exact
}

function namesIn(header: CsvRow): string {
  const names = header.slice(0, listedNames).map((name) => quoted(name.trim()))
  const more = header.length - names.length
  return more === 0 ? names.join(', ') : `${names.join(', ')} and ${more} more`
}

function quoted(name: string): string {
  return JSON.stringify(name.length > listedLength ? `${name.slice(0, listedLength)}…` : name)
}
