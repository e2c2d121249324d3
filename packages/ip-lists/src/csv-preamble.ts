import { addressNameRank, isBareAddress } from './address-columns.ts'
import { addressesIn } from './address-text.ts'
import { maxInputBytes } from './line-inputs.ts'

/** What stands before the rows of a table, and how they are written. */
export interface CsvPreamble {
  readonly delimiter: string
  /**
   * Bytes before the first row: `sep=;`, titles, comments (`#`, or `;` and a blank) and blank lines. Where the last
   * comment names the columns (`#ip,asn`), the first row is behind its sign.
   */
  readonly bytes: number
  /** The names that a comment lists: `#fields` (Zeek), `#Fields:` (W3C, CloudFront). */
  readonly header: readonly string[] | undefined
  /** Lines that begin with `#` are comments further on too. */
  readonly hasComments: boolean
  /** Quotes stand around cells. */
  readonly isQuoted: boolean
  /** A backslash stands before quotes in quotes, as Spark and MySQL write them. */
  readonly isBackslashed: boolean
  /** Blanks stand between delimiters and quotes (`1, "x, y"`), and are no part of cells. */
  readonly skipsBlanks: boolean
}

/** So many bytes of a table show how it is written. */
export const preambleBytes = 16 * 1024

const delimiters = [',', ';', '\t', '|'] as const
const comparedLines = 20

/** Inside of quotes a quote is doubled. */
const blankAndQuote = /[,;|] +"(?!")/
/** No cell of RFC 4180 has these: there a quote that is not doubled ends a cell. */
const backslashAndQuote = /\\"(?! *(?:[",;|\t\r\n]|$))/
const backslashBetweenBlanks = /\\"[^ "\t\r\n]/

/** @param head the first bytes of a table */
export function csvPreamble(head: Buffer): CsvPreamble {
  const lines = head.toString('latin1', 0, Math.min(head.length, maxInputBytes)).split(/(?<=\n)/)
  let header: readonly string[] | undefined
  let separator: string | undefined
  let hasComments = false
  let at = 0
  for (; at < lines.length; at += 1) {
    const line = (lines[at] ?? '').trim()
    const fields = /^#\s*fields:?\s+(.*)$/i.exec(line)?.[1]
    const said = /^"?sep=(.|\\t)"?$/i.exec(line)?.[1]
    hasComments ||= line.startsWith('#')
    if (fields !== undefined) header = fields.split(/\s+/)
    else if (said !== undefined && at === 0) separator = said === String.raw`\t` ? '\t' : said
    else if (line !== '' && !/^(?:#|; )/.test(line)) break
  }
  // A table of nothing but comments and blank lines begins at its start.
  if (at === lines.length && header === undefined) at = 0
  const rest = lines.slice(at, at + comparedLines)
  const delimiter = separator ?? delimiterOf(rest, header)
  const titles = header === undefined ? titleLines(rest, delimiter) : 0
  const skipped = lines.slice(0, at + titles).join('').length
  const named = header === undefined && titles === 0 ? namesInComment(lines[at - 1], rest[0], delimiter).length : 0
  const ownLines = lines.slice(at + titles)
  const table = ownLines.join('')
  const skipsBlanks = /[,;|]/.test(delimiter) && blankAndQuote.test(table)
  return {
    delimiter,
    bytes: skipped - named,
    header,
    hasComments,
    skipsBlanks,
    isQuoted: header === undefined && !(delimiter === '\t' && hasStrayQuotes(ownLines)),
    isBackslashed: (delimiter === ' ' ? backslashBetweenBlanks : backslashAndQuote).test(table),
  }
}

/** A cell in quotes, which may go on over lines or to the end. */
const quotedCell = /(?<=^|[\t\n])"(?:[^"]|""|(?<=\\)"(?! *[\t\r\n]))*(?:"|$)/g

/**
 * Whether a cell that opens quotes would swallow rows, of as many cells as all and with an address: programs that write
 * tabs quote nothing as a rule, and what a client sent may begin with a quote.
 */
function hasStrayQuotes(lines: readonly string[]): boolean {
  // The last line may be cut off.
  const whole = lines.filter((line) => line.endsWith('\n'))
  const widths = new Set(whole.map((line) => line.split('\t').length))
  const cells = whole.join('').match(quotedCell) ?? []
  return widths.size === 1 && !widths.has(1) && cells.some((cell) => addressesIn(cell.replace(/^.*/, '')).length > 0)
}

/** What is behind the sign of a comment that has as many cells as the row below, if these are names of columns. */
function namesInComment(comment = '', row = '', delimiter: string): string {
  const text = /^#+ *(.*)$/s.exec(comment)?.[1] ?? ''
  const [names, cells] = [cellsOf(text, delimiter), cellsOf(row, delimiter)]
  if (names.length !== cells.length || names.some(isBareAddress)) return ''
  const isHeader = names.length > 2 || (names.length === 2 && names.some((name) => addressNameRank(name) !== undefined))
  return isHeader ? text : ''
}

const cellsOf = (line: string, delimiter: string): string[] =>
  line
    .replaceAll(/"[^"]*"/g, quoted)
    .trimEnd()
    .split(delimiter)

/** A cell without its quotes, and without delimiters. */
const quoted = (cell: string): string => cell.replaceAll(/[",;|\t]/g, '')

/**
 * The one between which most lines have an address, or else that is most often in the first line that has any, outside of
 * quotes; by default a comma. Blanks separate where
 * nothing else does and names say so: in W3C's extended log (IIS), and behind the header of a VPC flow log.
 */
function delimiterOf(lines: readonly string[], header: CsvPreamble['header']): string {
  if (header !== undefined) return lines.some((line) => line.includes('\t')) ? '\t' : ' '
  const plain = lines.map((line) => line.replaceAll(/"[^"]*"/g, quoted))
  const first = plain.find((line) => delimiters.some((delimiter) => line.includes(delimiter))) ?? ''
  const [best] = delimiters
    .map((delimiter) => ({
      delimiter,
      count: first.split(delimiter).length - 1,
      rows: plain.filter((line) => line.split(delimiter).some(isBareAddress)).length,
    }))
    .filter(({ count }) => count > 0)
    .toSorted((one, other) => other.rows - one.rows || other.count - one.count)
  if (best) return best.delimiter
  return isSpaced(lines) ? ' ' : ','
}

function isSpaced(lines: readonly string[]): boolean {
  const [names = [], ...rows] = lines.map((line) => line.trimEnd().split(' '))
  const isHeader = names.length > 1 && names.every((name) => /^[a-z][\w.-]*$/i.test(name))
  return isHeader && names.some((name) => addressNameRank(name) !== undefined) && rows[0]?.length === names.length
}

/**
 * Lines in front of a header that names the column of the addresses below it, as spreadsheets write titles, with all
 * their delimiters; or lines of one cell in front of rows that all have several.
 */
function titleLines(lines: readonly string[], delimiter: string): number {
  const cells = lines.map((line) => cellsOf(line, delimiter))
  const header = cells.findIndex((names, at) =>
    names.some((name, column) => addressNameRank(name) !== undefined && isBareAddress(cells[at + 1]?.[column] ?? '')),
  )
  if (header > 0 && cells.slice(0, header).every((row) => isTitle(row, cells[header] ?? []))) return header
  const isWhole = (line: string): boolean => !line.includes(delimiter) && !line.includes('"')
  const first = lines.findIndex((line) => !isWhole(line))
  const rows = lines.slice(first, -1).filter((line) => line.trim() !== '')
  const isTable = rows.length > 1 && rows.every((line) => line.includes(delimiter))
  return first > 0 && first <= 5 && isTable ? first : 0
}

/** A row with fewer cells of text than the header has, none of which holds an address or names a column of them. */
function isTitle(row: readonly string[], header: readonly string[]): boolean {
  const texts = textsOf(row)
  const isOfTable = texts.some((text) => addressNameRank(text) !== undefined || addressesIn(text).length > 0)
  return texts.length < textsOf(header).length && !isOfTable
}

const textsOf = (row: readonly string[]): string[] => row.map((cell) => cell.trim()).filter((cell) => cell !== '')
