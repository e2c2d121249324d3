import { csvColumns, csvHeader, type CsvOptions, csvRows } from './csv-rows.ts'

export const formats = ['ndjson', 'csv', 'json'] as const
/** Also the ending of a file that holds it. */
export type Format = (typeof formats)[number]

export const contentTypes: Readonly<Record<Format, string>> = {
  ndjson: 'application/x-ndjson',
  csv: 'text/csv; charset=utf-8',
  json: 'application/json; charset=utf-8',
}

export interface FormatOptions extends CsvOptions {
  /** What the job's lines hold besides the input; undefined: whole records. */
  readonly fields: readonly string[] | undefined
  /** Whether what is before these lines is at the client already. */
  readonly continues: boolean
}

/** Result lines, each piece some whole ones in NDJSON, in another form. A piece comes out for each that goes in. */
export function inFormat(format: Format, lines: AsyncIterable<Buffer>, options: FormatOptions): AsyncIterable<Buffer> {
  if (format === 'csv') return asCsv(lines, options)
  return format === 'json' ? asArray(lines) : lines
}

/** The header row stands at the beginning only: what continues can be appended to what is there. */
async function* asCsv(
  lines: AsyncIterable<Buffer>,
  { fields, continues, ...options }: FormatOptions,
): AsyncGenerator<Buffer> {
  const columns = csvColumns(fields)
  if (!continues) yield Buffer.from(csvHeader(columns, options))
  for await (const piece of lines) yield Buffer.from(csvRows(piece.toString(), columns, options))
}

/** Latin-1 keeps the bytes of UTF-8 as they are, and no string of JSON holds a bare newline. */
async function* asArray(lines: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let before = '[\n'
  for await (const piece of lines) {
    const elements = piece.toString('latin1', 0, piece.length - 1).replaceAll('\n', ',\n')
    yield Buffer.from(before + elements, 'latin1')
    before = ',\n'
  }
  yield Buffer.from(before === '[\n' ? '[]\n' : '\n]\n')
}
