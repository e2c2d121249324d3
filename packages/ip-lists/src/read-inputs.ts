import { setImmediate } from 'node:timers/promises'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { csvInputs } from './csv-inputs.ts'
import type { InputForm } from './input-form.ts'
import { jsonInputs, ndjsonInputs } from './json-inputs.ts'
import { lineInputs } from './line-inputs.ts'
import { peek } from './peek.ts'

export interface ReadLimits {
  readonly maxLines: number
}

/** How much is parsed without a break. csv-parse needs as long for a quarter of it as the others for all. */
const maxPiece = 64 * 1024
const maxCsvPiece = 16 * 1024

/** Enough of a body to tell its form. */
const sniffedBytes = 1024

const utf8Mark = Buffer.from([0xef, 0xbb, 0xbf])
/** Excel writes its "Unicode text" so. */
const utf16Marks = { 'utf-16le': '\u00ff\u00fe', 'utf-16be': '\u00fe\u00ff' } as const

/** Undefined for UTF-8. Of UTF-16 without a mark, every other byte of ASCII characters is 0. */
function utf16Of(head: Buffer): keyof typeof utf16Marks | undefined {
  const begin = head.toString('latin1')
  const zeros = [...head].map((byte) => (byte === 0 ? '0' : 'x')).join('')
  if (begin.startsWith(utf16Marks['utf-16le']) || zeros.startsWith('x0x0')) return 'utf-16le'
  return begin.startsWith(utf16Marks['utf-16be']) || zeros.startsWith('0x0x') ? 'utf-16be' : undefined
}

/**
 * The inputs of a body as it comes in, in groups of 1 to some thousands. Nothing is read ahead of the reader, and no more
 * is held than a piece of the body and one line. Texts that are no addresses are inputs too. An error may come after any
 * number of groups.
 * @throws ProxyError `bad_request` (broken, or no inputs at all), `unsupported_media_type`, `payload_too_large`, and
 * what reading the body throws (`client_left`)
 */
export async function* readInputs(
  body: AsyncIterable<Buffer>,
  form: InputForm,
  { maxLines }: ReadLimits,
): AsyncGenerator<readonly string[]> {
  let count = 0
  const { head, all } = await peek(withoutMark(body), ({ length }) => length >= sniffedBytes)
  if (head.subarray(0, sniffedBytes).some((byte) => byte < 9)) throw noText()
  const read = form.kind === 'lines' && form.isAsked === undefined ? (jsonFormOf(String(head)) ?? form) : form
  for await (const inputs of inputsIn(smallPieces(all, read), read)) {
    count += inputs.length
    if (count > maxLines) {
      const message = `The body holds more than ${maxLines} addresses (BULK_MAX_LINES); send it in parts`
      throw new ProxyError('payload_too_large', { message })
    }
    if (inputs.length > 0) yield inputs
  }
  if (count === 0) throw new ProxyError('bad_request', { message: 'The body holds no addresses' })
}

/** No text has these bytes; workbooks, archives and Parquet do. */
function noText(): ProxyError {
  const message =
    'The body is no text in UTF-8. Lines, CSV, NDJSON and JSON are read, also compressed; the command `ipfleet bulk FILE` ' +
    'reads Parquet, .zip, .xz and .bz2 too'
  return new ProxyError('unsupported_media_type', { message })
}

/** JSON comes as plain text too: by `curl -d`, by `fetch` of a text. No address begins so. */
function jsonFormOf(head: string): InputForm | undefined {
  if (/^\s*\[\s*["{]/.test(head)) return { kind: 'json', column: 'ip' }
  return /^\s*\{/.test(head) ? { kind: 'ndjson', column: 'ip' } : undefined
}

function inputsIn(pieces: AsyncIterable<Buffer>, form: InputForm): AsyncIterable<readonly string[]> {
  switch (form.kind) {
    case 'lines':
      return lineInputs(pieces)
    case 'csv':
      return csvInputs(pieces, form)
    case 'ndjson':
      return ndjsonInputs(pieces, form.column)
    case 'json':
      return jsonInputs(pieces, form.column)
  }
}

/** Some editors begin a file with a byte order mark. */
export async function* withoutMark(body: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const { head, all } = await peek(body, ({ length }) => length >= 4)
  const label = utf16Of(head.subarray(0, 4))
  if (label !== undefined) {
    yield* transcoded(all, label)
    return
  }
  let skip = head.subarray(0, utf8Mark.length).equals(utf8Mark) ? utf8Mark.length : 0
  for await (const piece of all) {
    yield skip === 0 ? piece : piece.subarray(skip)
    skip = 0
  }
}

/** UTF-8 of what is in another encoding. Without its byte order mark, which the decoder drops. */
async function* transcoded(pieces: AsyncIterable<Buffer>, label: string): AsyncGenerator<Buffer> {
  const decoder = new TextDecoder(label)
  for await (const piece of pieces) yield Buffer.from(decoder.decode(piece, { stream: true }))
  yield Buffer.from(decoder.decode())
}

/** Yields to the event loop between pieces. Inflating makes pieces that hold many of these. */
export async function* smallPieces(
  pieces: AsyncIterable<Buffer>,
  { kind }: Pick<InputForm, 'kind'>,
): AsyncGenerator<Buffer> {
  const largest = kind === 'csv' ? maxCsvPiece : maxPiece
  for await (const piece of pieces) {
    for (let start = 0; start < piece.length; start += largest) {
      yield piece.subarray(start, start + largest)
      await setImmediate()
    }
  }
}
