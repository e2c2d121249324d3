import { pipeline } from 'node:stream'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { CsvError, parse, type Parser } from 'csv-parse'
import { csvPreamble, preambleBytes } from './csv-preamble.ts'
import { maxInputBytes, tooLong } from './line-inputs.ts'
import { peek } from './peek.ts'

export type CsvRow = readonly string[]

const rowsInGroup = 250

/** As many as a spreadsheet has. */
const maxFields = 16_384

/**
 * The rows of a CSV body (RFC 4180) in groups, including blank ones, with any number of fields. The first lines show
 * how they are written. Pieces should be small: one is parsed without a break.
 *
 * A quote has to open a field or be doubled inside of one. After any other quote the end of the field could only be
 * guessed, and an odd number of them would swap what is inside and outside of quotes. Between tabs, where many programs
 * quote nothing, a field that does not begin with a quote is taken as it is, and where the first lines show it all are.
 * @throws ProxyError `bad_request` for a broken quote, `payload_too_large` as soon as a row is over the limit
 */
export async function* csvRows(pieces: AsyncIterable<Buffer>): AsyncGenerator<CsvRow[]> {
  const { head, all } = await peek(pieces, ({ length }) => length >= preambleBytes)
  const { delimiter, bytes, header, hasComments, skipsBlanks, isQuoted, isBackslashed } = csvPreamble(head)
  const parser = parse({
    delimiter,
    ...(!isQuoted && { quote: null }),
    ...(hasComments && { comment: '#', comment_no_infix: true }),
    ...(isBackslashed && { escape: '\\' }),
    record_delimiter: ['\r\n', '\n', '\r'],
    ltrim: skipsBlanks,
    relax_column_count: true,
    relax_quotes: delimiter === '\t',
    max_record_size: maxInputBytes,
  })
  // The parser gets an error of the source too, so that the loop meets it.
  pipeline(guarded(behind(all, bytes), parser), parser, () => undefined)
  let rows: CsvRow[] = header === undefined ? [] : [header]
  try {
    for await (const row of parser as AsyncIterable<CsvRow>) {
      if (row.length > maxFields) {
        const message = `A row of the CSV, up to line ${parser.info.lines}, has more than ${maxFields} fields`
        throw new ProxyError('payload_too_large', { message })
      }
      rows.push(row)
      if (rows.length < rowsInGroup) continue
      yield rows
      rows = []
    }
  } catch (error) {
    throw error instanceof CsvError ? refusal(error, parser) : error
  }
  yield rows
}

/** Without the bytes of the preamble. */
async function* behind(pieces: AsyncIterable<Buffer>, bytes: number): AsyncGenerator<Buffer> {
  let left = bytes
  for await (const piece of pieces) {
    if (piece.length > left) yield piece.subarray(left)
    left = Math.max(0, left - piece.length)
  }
}

/**
 * csv-parse 7.0 checks `max_record_size` only at bytes of fields: a row of nothing but commas would be held at any length.
 * A row within both limits has less than half as many bytes as this, quotes included.
 */
async function* guarded(pieces: AsyncIterable<Buffer>, parser: Parser): AsyncGenerator<Buffer> {
  let rows = 0
  let bytesSinceRow = 0
  for await (const piece of pieces) {
    if (parser.info.records !== rows) bytesSinceRow = 0
    rows = parser.info.records
    if (bytesSinceRow > 8 * maxInputBytes) throw tooLong(`Row ${rows + 1} of the CSV`)
    bytesSinceRow += piece.length
    yield piece
  }
}

function refusal(error: CsvError, { info }: Parser): ProxyError {
  const row = info.records + 1
  const where = `row ${row} of the CSV, at line ${info.lines}`
  if (error.code === 'CSV_MAX_RECORD_SIZE') {
    const { message } = tooLong(`R${where.slice(1)},`)
    return new ProxyError('payload_too_large', { message: `${message}; perhaps a quote is not closed`, cause: error })
  }
  const message =
    error.code === 'CSV_QUOTE_NOT_CLOSED'
      ? `A quote is not closed in ${where}`
      : `There is a broken quote in ${where}: a field with a quote in it is put in quotes, and the quote doubled`
  return new ProxyError('bad_request', { message, cause: error })
}
