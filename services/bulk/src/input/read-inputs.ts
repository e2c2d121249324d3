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

const utf8Mark = Buffer.from([0xef, 0xbb, 0xbf])
const utf16Marks: readonly Buffer[] = [Buffer.from([0xff, 0xfe]), Buffer.from([0xfe, 0xff])]

/**
 * The inputs of a body as it comes in, in groups of 1 to some thousands. Nothing is read ahead of the reader, and no more
 * is held than a piece of the body and one line. Texts that are no addresses are inputs too. An error may come after any
 * number of groups.
 * @throws ProxyError `bad_request` (broken, or no inputs at all), `payload_too_large`, `unsupported_media_type` (UTF-16),
 * and what reading the body throws (`client_left`)
 */
export async function* readInputs(
  body: AsyncIterable<Buffer>,
  form: InputForm,
  { maxLines }: ReadLimits,
): AsyncGenerator<readonly string[]> {
  let count = 0
  for await (const inputs of inputsIn(smallPieces(withoutMark(body), form), form)) {
    count += inputs.length
    if (count > maxLines) {
      const message = `The body holds more than ${maxLines} addresses (BULK_MAX_LINES); send it in parts`
      throw new ProxyError('payload_too_large', { message })
    }
    if (inputs.length > 0) yield inputs
  }
  if (count === 0) throw new ProxyError('bad_request', { message: 'The body holds no addresses' })
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
async function* withoutMark(body: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const { head, all } = await peek(body, ({ length }) => length >= utf8Mark.length)
  const isUtf16 = utf16Marks.some((mark) => head.subarray(0, mark.length).equals(mark))
  let skip = head.subarray(0, utf8Mark.length).equals(utf8Mark) ? utf8Mark.length : 0
  for await (const piece of all) {
    if (isUtf16) {
      throw new ProxyError('unsupported_media_type', { message: 'The body is in UTF-16; it has to be in UTF-8' })
    }
    yield skip === 0 ? piece : piece.subarray(skip)
    skip = 0
  }
}

/** Yields to the event loop between pieces. Inflating makes pieces that hold many of these. */
async function* smallPieces(pieces: AsyncIterable<Buffer>, { kind }: InputForm): AsyncGenerator<Buffer> {
  const largest = kind === 'csv' ? maxCsvPiece : maxPiece
  for await (const piece of pieces) {
    for (let start = 0; start < piece.length; start += largest) {
      yield piece.subarray(start, start + largest)
      await setImmediate()
    }
  }
}
