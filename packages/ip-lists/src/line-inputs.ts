import { ProxyError } from '@ipfleet/core/proxy-error.ts'

/** Longest line, row or element in bytes. The longest address has 45; the rest is for what else is on a row. */
export const maxInputBytes = 64 * 1024

/** `what`: such as `Line 7`. */
export function tooLong(what: string): ProxyError {
  return new ProxyError('payload_too_large', { message: `${what} is over ${maxInputBytes} bytes` })
}

const newline = 0x0a

/**
 * The lines of a text, without their ends (`\n` or `\r\n`), in groups of some thousands. No empty line follows the last
 * line end. Bytes that are not UTF-8 become U+FFFD.
 * @throws ProxyError `payload_too_large` as soon as a line is over the limit, whether or not its end has come
 */
export async function* lineInputs(pieces: AsyncIterable<Buffer>): AsyncGenerator<readonly string[]> {
  let rest: Buffer = Buffer.alloc(0)
  let count = 0
  for await (const piece of pieces) {
    const text = rest.length === 0 ? piece : Buffer.concat([rest, piece])
    let start = 0
    for (;;) {
      const end = endOfBlock(text, start, count)
      if (end < start) break
      const lines = linesIn(text, start, end)
      count += lines.length
      start = end + 1
      yield lines
    }
    rest = text.subarray(start)
  }
  if (rest.length > 0) yield linesIn(rest, 0, rest.length)
}

/**
 * The end of the last line within the limit of bytes; -1 where more has to come. No character of UTF-8 contains the byte
 * of a newline, so that lines can be decoded separately.
 */
function endOfBlock(text: Buffer, start: number, linesBefore: number): number {
  const furthest = start + maxInputBytes
  const end = text.lastIndexOf(newline, furthest)
  if (end >= start) return end
  if (text.length <= furthest) return -1
  throw tooLong(`Line ${linesBefore + 1}`)
}

function linesIn(text: Buffer, start: number, end: number): readonly string[] {
  const lines = text.toString('utf8', start, end).split('\n')
  return lines.map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line))
}
