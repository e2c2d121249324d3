import { extname } from 'node:path'
import { parseJson } from '@ipfleet/core/json.ts'
import { addressNameRank, addressColumn } from '@ipfleet/ip-lists/address-columns.ts'
import { addressesOfNetwork, loneAddress } from '@ipfleet/ip-lists/address-text.ts'
import { csvPreamble } from '@ipfleet/ip-lists/csv-preamble.ts'
import { usageFault } from './command-fault.ts'

export const inputForms = ['lines', 'csv', 'ndjson', 'json'] as const
export type ListForm = (typeof inputForms)[number]

const excel = 'save it as CSV UTF-8 or Unicode text'
const throughDuckDb = `convert it: duckdb -c "COPY (FROM 'FILE') TO 'list.csv'"`

const capture = 'pipe its addresses in: tshark -r FILE -T fields -e ip.src | … -'

/** What other programs write in a form of their own, how it begins in Latin-1, and what makes a list of it. */
const foreign: readonly (readonly [begins: string, is: string, todo: string])[] = [
  ['PK\u0003\u0004', 'a ZIP archive in a pipe or in another file', 'name the archive itself: … FILE'],
  ['\u00d0\u00cf\u0011\u00e0', 'an old Excel workbook', excel],
  ['PAR1', 'Parquet in a pipe or in another file', 'it is read from a file of its own: … FILE'],
  ['PARE', 'encrypted Parquet', 'convert it where its keys are'],
  ['ARROW1', 'an Arrow file', throughDuckDb],
  ['Obj\u0001', 'Avro', `convert it: duckdb -c "COPY (FROM read_avro('FILE')) TO 'list.csv'"`],
  ['ORC', 'ORC', 'convert it to CSV'],
  ['\u00ff\u00ff\u00ff\u00ff', 'an Arrow stream', 'convert it to Parquet'],
  ['SQLite format 3', 'an SQLite database', 'pipe a query in: sqlite3 -csv FILE "SELECT …" | … -'],
  ['BZh', 'packed by bzip2 again', 'unpack it first'],
  ['\u00fd7zXZ', 'packed by xz again', 'unpack it first'],
  ['\u001f\u008b', 'packed by gzip again', 'unpack it first'],
  ['(\u00b5/\u00fd', 'packed by Zstandard again', 'unpack it first'],
  ['\u0004"M\u0018', 'packed by LZ4', 'pipe it in: lz4 -dc FILE | … -'],
  ['LZIP', 'packed by lzip', 'pipe it in: lzip -dc FILE | … -'],
  [']\u0000\u0000', 'packed by lzma', 'pipe it in: xz -dc FILE | … -'],
  ['\u001f\u009d', 'packed by compress', 'pipe it in: zcat FILE | … -'],
  ['Rar!', 'a RAR archive', 'pipe its member in: unrar p -inul FILE | … -'],
  ['\u00d4\u00c3\u00b2\u00a1', 'a network capture', capture],
  ['\n\r\r\n', 'a network capture', capture],
  ['7z\u00bc\u00af', 'a 7z archive', 'pipe its member in: 7z x -so FILE | … -'],
  ['%PDF', 'a PDF', 'pipe its text in: pdftotext FILE - | … -'],
]

/** @throws CommandFault with exit code 2 for what no reader is here for, with what to do */
export function refuseForeign(head: Buffer, name: string): void {
  const text = head.toString('latin1', 0, 4096)
  const file = /\s/.test(name) ? 'FILE' : name
  const [, is, todo] = foreign.find(([start]) => text.startsWith(start)) ?? []
  if (is !== undefined) throw usageFault(`${name} is ${is}, which is not read; ${todo?.replace('FILE', file)}`)
  if (text.startsWith('ustar', 257)) {
    throw usageFault(`${name} is a tar archive, which is not read; pipe its member in: tar -xOf ${file} MEMBER | … -`)
  }
  if (head.subarray(0, 4096).some((byte) => byte < 9))
    throw usageFault(`${name} is no text, and its form is not known; convert it to CSV, NDJSON or Parquet`)
}

const sampledLines = 20

/** Which form a list has: by its content, and by its name where that leaves it open. */
export function listForm(head: Buffer, name: string): ListForm {
  const text = head.toString('utf8')
  const first = text.trimStart()
  const extension = extname(name.replace(/\.(?:gz|zst|br|xz|bz2)$/i, ''))
    .slice(1)
    .toLowerCase()
  if (/^\[\s*(?:["{[\]]|$)/.test(first)) return isJsonLines(first) ? 'ndjson' : 'json'
  // RFC 7464 puts it in front of each document.
  if (text.startsWith('\u001e')) return 'json'
  if (/^\{\s*(?:["}]|$)/.test(first) && extension !== 'csv') return isJsonLines(first) ? 'ndjson' : 'json'
  if (['ndjson', 'jsonl', 'jsonlines'].includes(extension)) return 'ndjson'
  if (extension === 'json') return 'json'
  if (['csv', 'tsv', 'tab', 'psv'].includes(extension)) return 'csv'
  return isTable(head, text) ? 'csv' : 'lines'
}

/** Whether the first of several lines is a document. */
function isJsonLines(text: string): boolean {
  const end = text.indexOf('\n')
  return end !== -1 && text.slice(end).trim() !== '' && parseJson(text.slice(0, end)) !== undefined
}

/** Whether rows of several cells, one of which is an address in most of them, or a header that names such a column. */
function isTable(head: Buffer, text: string): boolean {
  const { delimiter, bytes, header } = csvPreamble(head)
  if (header !== undefined || /^"?sep=/i.test(text)) return true
  const lines = head.toString('utf8', bytes).split(/\r?\n/).slice(0, sampledLines)
  // The last one may be cut off.
  const rows = (lines.length > 1 ? lines.slice(0, -1) : lines)
    .filter((line) => line !== '')
    .map((line) => line.split(delimiter))
  const [names = [], ...others] = rows
  if (names.some((name) => addressNameRank(name.replaceAll('"', '')) !== undefined)) return others.length > 0
  if (names.length < 2 || rows.length < 2 || rows.some(({ length }) => length !== names.length)) return false
  const column = addressColumn(undefined, rows, isAddress)
  const addresses = rows.filter((row) => isAddress(row[column?.index ?? 0] ?? '')).length
  // A list of hops (`X-Forwarded-For`) is no table.
  return column !== undefined && addresses * 2 >= rows.length && column.others.length < names.length - 1
}

/** Whether a cell is an address, or a network that stands for addresses. */
export function isAddress(cell: string): boolean {
  return loneAddress(cell) !== undefined || (/[/–-]/.test(cell) && isNetwork(cell))
}

function isNetwork(cell: string): boolean {
  try {
    return addressesOfNetwork(cell) !== undefined
  } catch {
    return true
  }
}
