import { type ParsedHead, parseAnswerHead, type Reading } from './answer-head.ts'
import { ChunkedDecoder } from './chunked-decoder.ts'
import { lineEnd } from './field-lines.ts'
import { UpstreamFault } from './upstream-fault.ts'
import type { RawFields } from './exchange-types.ts'

/** What an answer consists of. `rest` is what came after its end. */
export interface AnswerSink {
  interim(head: ParsedHead): void
  answered(head: ParsedHead, whole: Buffer | undefined, rest: Buffer, isReusable: boolean): void
  data(chunk: Buffer): void
  ended(trailers: RawFields, rest: Buffer, isReusable: boolean): void
  switched(head: ParsedHead, early: Buffer): void
}

const maxHeadLength = 65_536
const maxInterims = 32
const beginning = 'HTTP/'
/** Of empty lines before an answer. */
const maxBlankLength = 64
const emptyLine = '\r\n\r\n'
const bareLf = /(?<!\r)\n/
const nothing: Buffer = Buffer.alloc(0)
const CR = 0x0d

/** Reads the answers that come over one connection, one after the other. */
export class AnswerReader {
  readonly #sink: AnswerSink
  readonly #reading: Reading
  #method = ''
  #mayDecline = false
  /** The part of a head that has come. */
  #pending = nothing
  #interims = 0
  #head: ParsedHead | undefined
  #left = 0
  #chunks: ChunkedDecoder | undefined
  #hasBegun = false
  /** Whether the answer had line ends that not all readers take, or an interim one before it erred. */
  #isOdd = false

  constructor(sink: AnswerSink, reading: Reading = 'strict') {
    this.#sink = sink
    this.#reading = reading
  }

  /** Whether anything of the awaited answer has come. */
  get hasBegun(): boolean {
    return this.#hasBegun
  }

  get endsWithConnection(): boolean {
    return this.#head?.framing === 'until-close'
  }

  /** The next answer is to a request with this method. */
  expect(method: string, asksToSwitch: boolean): void {
    this.#method = method
    this.#mayDecline = asksToSwitch
    this.#hasBegun = false
    this.#interims = 0
    this.#isOdd = false
    this.#pending = nothing
    this.#head = undefined
    this.#chunks = undefined
  }

  /** @throws UpstreamFault `garbled`; the connection is of no use then */
  push(bytes: Buffer): void {
    if (this.#head !== undefined) return this.#readBody(this.#head, bytes)
    const { length } = this.#pending
    if (length === 0) this.#readHead(bytes)
    else this.#readHead(Buffer.concat([this.#pending, bytes]), length)
  }

  /** @param seen how many of the bytes have been looked through before, and have no end of a head in them */
  #readHead(bytes: Buffer, seen = 0): void {
    // In one piece: to look for the end in a string costs a third of what it costs in a buffer.
    const text = bytes.toString('latin1', 0, maxHeadLength)
    if (text.charCodeAt(0) <= CR) return this.#skipBlank(text, bytes)
    this.#hasBegun = true
    const end = endOfHead(text, Math.max(0, seen - 2))
    if (end < 0) {
      if (text.length === maxHeadLength) throw new UpstreamFault('garbled', 'the head of the answer is too long')
      // A server of another protocol may never send the end of a head.
      if (!beginning.startsWith(text.slice(0, beginning.length))) throw new UpstreamFault('garbled', 'no HTTP/1 answer')
      this.#pending = bytes
      return
    }
    this.#pending = nothing
    const headText = text.slice(0, lineEnd(text, end))
    const length = text.startsWith('\r', end + 1) ? end + 3 : end + 2
    this.#isOdd ||= !text.startsWith(emptyLine, end - 1) || bareLf.test(headText)
    const head = parseAnswerHead(headText, this.#method, this.#reading)
    const rest = bytes.subarray(length)
    if (head.status >= 200) this.#begin(head, rest)
    else if (head.status === 101) this.#switch(head, rest)
    else this.#interim(head, rest)
  }

  /** Empty lines that a server has sent behind the answer before: servers may too (RFC 9112 §2.2), and HAProxy does. */
  #skipBlank(text: string, bytes: Buffer): void {
    const length = /^[\r\n]*/.exec(text)?.[0].length ?? 0
    if (length === 0 || length > maxBlankLength) throw new UpstreamFault('garbled', 'no HTTP/1 answer')
    this.#isOdd = true
    if (length === bytes.length) this.#pending = bytes
    else {
      this.#pending = nothing
      this.#readHead(bytes.subarray(length))
    }
  }

  #interim(head: ParsedHead, rest: Buffer): void {
    this.#interims += 1
    if (this.#interims > maxInterims) throw new UpstreamFault('garbled', 'too many interim answers')
    this.#isOdd ||= !head.keepsAlive
    this.#sink.interim(head)
    if (rest.length > 0) this.#readHead(rest)
  }

  #switch(head: ParsedHead, early: Buffer): void {
    if (!this.#mayDecline) throw new UpstreamFault('garbled', 'the server switched protocols unasked')
    this.#sink.switched(head, early)
  }

  #begin(head: ParsedHead, rest: Buffer): void {
    const { framing } = head
    if (framing === 'none' || (typeof framing === 'number' && rest.length >= framing)) {
      const length = framing === 'none' ? 0 : framing
      this.#sink.answered(head, rest.subarray(0, length), rest.subarray(length), this.#isReusable(head))
      return
    }
    this.#head = head
    if (typeof framing === 'number') this.#left = framing
    else if (framing === 'chunked') this.#chunks = this.#decoder(head)
    this.#sink.answered(head, undefined, nothing, false)
    if (rest.length > 0) this.#readBody(head, rest)
  }

  /** A server that errs once may err in more. */
  #isReusable({ keepsAlive }: ParsedHead): boolean {
    return keepsAlive && !this.#isOdd
  }

  #readBody(head: ParsedHead, bytes: Buffer): void {
    const { framing } = head
    if (this.#chunks) this.#chunks.push(bytes)
    else if (framing === 'until-close') this.#sink.data(bytes)
    else {
      const length = Math.min(this.#left, bytes.length)
      this.#left -= length
      this.#sink.data(length === bytes.length ? bytes : bytes.subarray(0, length))
      if (this.#left === 0) this.#sink.ended([], bytes.subarray(length), this.#isReusable(head))
    }
  }

  #decoder(head: ParsedHead): ChunkedDecoder {
    const isReusable = this.#isReusable(head)
    return new ChunkedDecoder({
      data: (chunk) => this.#sink.data(chunk),
      ended: (trailers, rest) => this.#sink.ended(trailers, rest, isReusable),
    })
  }
}

/**
 * The LF of the last line before the first empty line, whether that ends in CRLF or in LF alone; -1: it has not come.
 * Most heads end in CRLF, so that what is searched a second time is the head only.
 */
function endOfHead(text: string, from: number): number {
  const withCr = text.indexOf('\n\r\n', from)
  const withoutCr = text.slice(from, withCr < 0 ? text.length : withCr + 1).indexOf('\n\n')
  return withoutCr < 0 ? withCr : from + withoutCr
}
