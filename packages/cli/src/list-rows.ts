import { isIPv4 } from 'node:net'
import { isRecord, parseJsonExactly } from '@ipfleet/core/json.ts'
import { addressColumn } from '@ipfleet/ip-lists/address-columns.ts'
import { addressesIn, addressesOfNetwork, firstOfNetwork, loneAddress } from '@ipfleet/ip-lists/address-text.ts'
import { type CsvForm, csvLayout, rowsOfLayout } from '@ipfleet/ip-lists/csv-inputs.ts'
import { csvRows, type CsvRow } from '@ipfleet/ip-lists/csv-rows.ts'
import { jsonValues, memberAt } from '@ipfleet/ip-lists/json-inputs.ts'
import { lineInputs } from '@ipfleet/ip-lists/line-inputs.ts'
import { peek, peekItems } from '@ipfleet/ip-lists/peek.ts'
import { usageFault } from './command-fault.ts'
import {
  asRecords,
  jsonRecords,
  memberWithAddress,
  pathsIn,
  textsIn,
  textsOfOtherFamily,
  unnamedColumn,
} from './json-records.ts'
import { isAddress, type ListForm } from './list-form.ts'
import type { ParquetFile } from './parquet-file.ts'

/** A network may become 65,536 rows, and a group of lines hold thousands of networks: they are not all held. */
const rowsInGroup = 5000

/** Whether lines are text of which addresses are a part: most lines of a log may have none. */
const sampledLines = 2000

/** What a row of a list has besides its address. */
export type Own =
  /** Cells of a table, by the order of its columns. */
  | { readonly kind: 'cells'; readonly cells: readonly string[] }
  | { readonly kind: 'object'; readonly members: Readonly<Record<string, unknown>> }
  /** The text that the address was taken out of. */
  | { readonly kind: 'text'; readonly text: string }

export interface ListRow {
  /** What is looked up. */
  readonly input: string
  readonly own: Own | undefined
}

export interface RowOptions {
  /** There is no list, but addresses of the command line. */
  readonly addresses?: readonly string[] | undefined
  readonly column?: string | undefined
  /** Which addresses are taken out of text around them; undefined: a text with something else in it is none. */
  readonly extract?: 'first' | 'all' | undefined
  /** What a network or range stands for. */
  readonly networks: 'expand' | 'first'
}

/** The rows of a list, and what is to be said of it. */
export interface RowsOfList {
  /** Of a table, or of the members that objects have; undefined for a list without any. */
  readonly columns: readonly string[] | undefined
  readonly notes: readonly string[]
  readonly rows: AsyncIterable<readonly ListRow[]>
}

/**
 * @param pieces of text in UTF-8, without a byte order mark
 * @throws CommandFault with exit code 2 for a column that is not there, ProxyError for what is broken
 */
export function rowsOfList(pieces: AsyncIterable<Buffer>, form: ListForm, options: RowOptions): Promise<RowsOfList> {
  if (form === 'csv') return rowsOfTable(pieces, options)
  if (form === 'lines') return rowsOfLines(pieces, options)
  return rowsOfValues(form === 'json' ? valuesOfJson(pieces, options) : valuesOfLines(pieces), options)
}

/** @throws CommandFault as `rowsOfList` */
export function rowsOfColumns(file: ParquetFile, options: RowOptions): Promise<RowsOfList> {
  const column = columnNamed(options.column, file.columns)
  return rowsOfValues(file.rows(), { ...options, column, word: 'column' })
}

/** By its name as it stands, by its number from 1, or by its name in other letter case. */
function columnNamed(column: string | undefined, names: readonly string[]): string | undefined {
  if (column === undefined || names.includes(column)) return column
  const number = numberOr(column)
  if (typeof number === 'number') {
    if (number <= names.length) return names[number - 1]
    throw usageFault(
      `--column: there is no column ${number}; there are ${names.length}: ${names.slice(0, 20).join(', ')}`,
    )
  }
  return names.find((name) => name.toLowerCase() === column.toLowerCase()) ?? column
}

async function rowsOfTable(pieces: AsyncIterable<Buffer>, options: RowOptions): Promise<RowsOfList> {
  const { first, all } = await peekItems(csvRows(pieces), rowsOfLayout)
  if (first.length === 0) return { columns: undefined, notes: [], rows: none() }
  const { column } = options
  const form: CsvForm = { kind: 'csv', column: numberOr(column), header: undefined }
  const holds = options.extract === undefined || first.some((row) => row.some(isAddress)) ? isAddress : hasAddress
  const { hasHeader, index } = csvLayout(first, form, holds)
  const width = Math.max(...first.map(({ length }) => length))
  const columns = distinct(
    Array.from({ length: width }, (_, at) => (hasHeader && first[0]?.[at]?.trim()) || unnamedColumn(at)),
  )
  const others = addressColumn(undefined, first.slice(1), isAddress)
  const alsoHold = [others?.index, ...(others?.others ?? [])].flatMap((at) =>
    at === undefined || at === index ? [] : (columns[at] ?? []),
  )
  const notes =
    column === undefined && width > 1
      ? [
          `the addresses are in the column ${columns[index] ?? ''}${alsoHold.length > 0 ? `; ${alsoHold.join(', ')} hold addresses too (--column)` : ''}`,
        ]
      : []
  const toRow = (cells: CsvRow): readonly ListRow[] => rowsOf(cells[index] ?? '', options, { kind: 'cells', cells })
  return { columns, notes, rows: mapped(all, toRow, hasHeader ? 1 : 0) }
}

async function rowsOfValues(
  values: AsyncIterable<readonly unknown[]>,
  { word = 'member', ...options }: RowOptions & { readonly word?: 'column' | 'member' },
): Promise<RowsOfList> {
  const { first, all } = await peekItems(values, rowsOfLayout)
  const objects = first.filter(isRecord)
  const column = options.column ?? memberWithAddress(objects) ?? 'ip'
  if (
    options.column !== undefined &&
    objects.length > 0 &&
    objects.every((one) => memberAt(one, column) === undefined)
  ) {
    const names = pathsIn(objects).slice(0, 20).join(', ')
    throw usageFault(
      `--column: no ${word} ${column} in the first ${word === 'member' ? 'objects' : 'rows'}; they have ${names}`,
    )
  }
  const toRow = (value: unknown): readonly ListRow[] => {
    if (!isRecord(value)) return rowsOf(typeof value === 'string' ? value : JSON.stringify(value), options, undefined)
    const own: Own = { kind: 'object', members: value }
    const named = textsIn(memberAt(value, column))
    const texts = named.length > 0 || options.column !== undefined ? named : textsOfOtherFamily(value, column)
    return (texts.length > 0 ? texts : [JSON.stringify(value)]).flatMap((text) => rowsOf(text, options, own))
  }
  const notes =
    options.column === undefined && objects.length > 0 && column !== 'ip'
      ? [`the addresses are in the ${word} ${column}`]
      : []
  const columns = objects.length === 0 ? undefined : [...new Set(objects.flatMap((object) => Object.keys(object)))]
  return { columns, notes, rows: mapped(all, toRow) }
}

async function rowsOfLines(pieces: AsyncIterable<Buffer>, options: RowOptions): Promise<RowsOfList> {
  const { first, all } = await peekItems(lineInputs(pieces), sampledLines)
  const isLog = options.extract === undefined && isText(first)
  const extract = options.extract ?? (isLog ? 'first' : undefined)
  const notes = isLog
    ? ['the lines hold more than addresses: the first address of each is taken (--extract all: every one)']
    : []
  const toRow = (line: string): readonly ListRow[] =>
    /^\s*[#;]/.test(line) ? [] : rowsOf(line, { ...options, extract }, undefined)
  return { columns: undefined, notes, rows: mapped(all, toRow) }
}

const hasAddress = (text: string): boolean => addressesIn(text).length > 0

/** Whether no line is an address, but some hold one among other text. */
function isText(lines: readonly string[]): boolean {
  return lines.some(hasAddress) && !lines.some(isAddress)
}

/** One row for each address that a text stands for, or one with the text itself, which gets an error later. */
function rowsOf(text: string, { extract, networks }: RowOptions, own: Own | undefined): readonly ListRow[] {
  // Most are, and need none of the patterns.
  if (isIPv4(text)) return [{ input: text, own }]
  const addresses = addressesFor(text, extract, networks)
  const isAsItStands = addresses.length === 1 && addresses[0] === text.trim()
  if (isAsItStands || addresses.length === 0) return [{ input: text, own }]
  return addresses.map((input) => ({ input, own: own ?? { kind: 'text', text } }))
}

function addressesFor(
  text: string,
  extract: RowOptions['extract'],
  networks: RowOptions['networks'],
): readonly string[] {
  const lone = loneAddress(text)
  if (lone !== undefined) return [isPlain(text) ? text.trim() : lone]
  if (/[/–-]/.test(text)) {
    const network = networks === 'expand' ? addressesOfNetwork(text) : firstOfNetwork(text)
    if (network !== undefined) return typeof network === 'string' ? [network] : network
  }
  if (extract === undefined && !isListOfHops(text)) return []
  const found = addressesIn(text)
  return extract === 'all' ? found : found.slice(0, 1)
}

/** Of `X-Forwarded-For`, where the client comes first. */
const isListOfHops = (text: string): boolean => /^[\s\da-f.:[\]]+(?:,[\s\da-f.:[\]]+)+$/i.test(text)

/** As it stands it can be asked for. */
const isPlain = (text: string): boolean => /^\s*[\da-f:.]+\s*$/i.test(text) && !/\.\d+:\d/.test(text)

function numberOr(column: string | undefined): string | number | undefined {
  return column !== undefined && /^[1-9]\d{0,8}$/.test(column) ? Number(column) : column
}

/** A name that is there twice gets a number. */
function distinct(names: readonly string[]): string[] {
  const seen = new Map<string, number>()
  return names.map((name) => {
    const count = (seen.get(name) ?? 0) + 1
    seen.set(name, count)
    return count === 1 ? name : `${name}_${count}`
  })
}

async function* valuesOfJson(
  pieces: AsyncIterable<Buffer>,
  { column }: RowOptions,
): AsyncGenerator<readonly unknown[]> {
  const { head, all } = await peek(pieces, (begin) => begin.toString('latin1').trim() !== '')
  if (/^[^[]?\s*\{/.test(head.toString('latin1').trimStart())) yield* jsonRecords(all, column)
  else for await (const values of jsonValues(all)) yield asRecords(values)
}

async function* valuesOfLines(pieces: AsyncIterable<Buffer>): AsyncGenerator<readonly unknown[]> {
  for await (const lines of lineInputs(pieces)) yield asRecords(lines.map((line) => parseJsonExactly(line) ?? line))
}

async function* none(): AsyncGenerator<readonly ListRow[]> {}

async function* mapped<Item>(
  groups: AsyncIterable<readonly Item[]>,
  toRows: (item: Item) => readonly ListRow[],
  skip = 0,
): AsyncGenerator<readonly ListRow[]> {
  let left = skip
  for await (const group of groups) {
    let rows: (readonly ListRow[])[] = []
    let count = 0
    for (const item of group.slice(left)) {
      const more = toRows(item)
      rows.push(more)
      count += more.length
      if (count < rowsInGroup) continue
      yield rows.flat()
      rows = []
      count = 0
    }
    left = Math.max(0, left - group.length)
    if (count > 0) yield rows.flat()
  }
}
