import { eachField } from './field-lines.ts'
import { UpstreamFault } from './upstream-fault.ts'
import type { RawFields } from './exchange-types.ts'
import { mayBeTrailer } from './trailers.ts'

export interface ChunkSink {
  data(chunk: Buffer): void
  /** `rest`: what came after the end of the body. */
  ended(trailers: RawFields, rest: Buffer): void
}

const CR = 0x0d
const LF = 0x0a
/** Of a chunk's size line, extensions included. */
const maxSizeLine = 4096
const maxTrailers = 16_384
/** RFC 9112 §7.1, with as many digits as a safe integer has, behind zeros that fill a field (`%016x`). */
const sizeLine = /^0*([\dA-Fa-f]{1,13})[\t ]*(?:;[\t\x20-\x7e\x80-\xff]*)?$/

/** Shorter parts that come together are passed on together: each costs as much as a long one. */
const shortPart = 4096

type Expected = 'size' | 'data' | 'data-end' | 'trailers'

/**
 * Takes the chunked coding off a body (RFC 9112 §7.1). Lines end in CRLF and nothing else: a bare LF is where two
 * readers begin to disagree.
 */
export class ChunkedDecoder {
  readonly #sink: ChunkSink
  #expected: Expected = 'size'
  #left = 0
  #line = ''
  #trailers = ''
  /** Short parts of the body, out of what is read now. */
  #parts: Buffer[] = []

  constructor(sink: ChunkSink) {
    this.#sink = sink
  }

  /** @throws UpstreamFault `garbled` */
  push(bytes: Buffer): void {
    try {
      this.#read(bytes)
    } finally {
      this.#passParts()
    }
  }

  #read(bytes: Buffer): void {
    let at = 0
    while (at < bytes.length) {
      if (this.#expected === 'data') at = this.#data(bytes, at)
      else {
        at = this.#readLine(bytes, at)
        if (at < 0) return
        const line = this.#line
        this.#line = ''
        if (this.#endOf(line)) {
          this.#passParts()
          this.#sink.ended(trailersOf(this.#trailers), bytes.subarray(at))
          return
        }
      }
    }
  }

  #data(bytes: Buffer, from: number): number {
    const end = Math.min(bytes.length, from + this.#left)
    this.#left -= end - from
    if (this.#left === 0) this.#expected = 'data-end'
    const part = from === 0 && end === bytes.length ? bytes : bytes.subarray(from, end)
    if (part.length < shortPart) this.#parts.push(part)
    else {
      this.#passParts()
      this.#sink.data(part)
    }
    return end
  }

  #passParts(): void {
    const parts = this.#parts
    const [first] = parts
    if (first === undefined) return
    this.#parts = []
    this.#sink.data(parts.length === 1 ? first : Buffer.concat(parts))
  }

  /** Where the line ends, or -1 when it goes on in the next bytes. */
  #readLine(bytes: Buffer, from: number): number {
    const end = bytes.indexOf(LF, from)
    const to = end < 0 ? bytes.length : end
    if (this.#line.length + to - from > this.#longest)
      throw new UpstreamFault('garbled', 'a line of a chunked body is too long')
    this.#line += bytes.toString('latin1', from, to)
    if (end < 0) return -1
    if (this.#line.charCodeAt(this.#line.length - 1) !== CR)
      throw new UpstreamFault('garbled', 'a bare LF in a chunked body')
    this.#line = this.#line.slice(0, -1)
    return end + 1
  }

  get #longest(): number {
    if (this.#expected === 'trailers') return maxTrailers - this.#trailers.length
    return this.#expected === 'size' ? maxSizeLine : 1
  }

  /** Whether the line was the last of the body. */
  #endOf(line: string): boolean {
    switch (this.#expected) {
      case 'size': {
        const size = sizeLine.exec(line)?.[1]
        if (size === undefined) throw new UpstreamFault('garbled', 'a chunk size is malformed')
        this.#left = Number.parseInt(size, 16)
        this.#expected = this.#left === 0 ? 'trailers' : 'data'
        return false
      }
      case 'trailers':
        if (line === '') return true
        this.#trailers += this.#trailers === '' ? line : `\r\n${line}`
        return false
      default:
        if (line !== '') throw new UpstreamFault('garbled', 'a chunk is longer than its size')
        this.#expected = 'size'
        return false
    }
  }
}

function trailersOf(text: string): RawFields {
  const fields: string[] = []
  eachField(text, 0, (name, value) => {
    if (mayBeTrailer(name)) fields.push(name.spelling, value)
  })
  return fields
}
