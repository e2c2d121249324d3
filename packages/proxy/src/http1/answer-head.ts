import { eachField, type FieldName, fieldName, lineEnd, listMembers } from './field-lines.ts'
import { UpstreamFault } from './upstream-fault.ts'
import type { AnswerHead, BodyFraming } from './exchange-types.ts'
import { fieldsWhere } from './raw-fields.ts'

export interface ParsedHead extends AnswerHead {
  /** Whether the server keeps the connection after this answer. */
  readonly keepsAlive: boolean
  /** How long it keeps an idle one, in milliseconds, if it says so. */
  readonly keepsForMs: number | undefined
}

/**
 * RFC 9112 §4; servers leave out the blank before an empty reason. A status above 599 is passed on: RFC 9110 §15 says how
 * clients take it. Any other version is read as 1.1 (§2.5), which is how its sender has been asked.
 */
const statusLine = /^HTTP\/([1-9]\.\d)( +)([1-9]\d\d)(?: ([^\0\r]*))?$/
/** A reason tells nothing (RFC 9112 §4), and Node 26.10 sends none of these. */
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const notInReason = /[\0-\x08\x0a-\x1f\x7f]/g

/**
 * How an answer is read. `strict`, because what two readers understand in two ways can be made into an answer to
 * another client's request. `tolerant` takes what RFC 9112 lets a proxy put right, and there is one way to do so (§5.1,
 * §5.2, §6.3): a blank before a colon, folded lines, a length beside chunks or repeated, `identity`. For connections
 * that carry one answer.
 */
export type Reading = 'strict' | 'tolerant'

/** Reads the head of an answer, given without the empty line at its end. @throws UpstreamFault `garbled` */
export function parseAnswerHead(given: string, method: string, reading: Reading = 'strict'): ParsedHead {
  const text = reading === 'tolerant' ? putRight(given) : given
  const lf = text.indexOf('\n')
  const line = statusLine.exec(lf < 0 ? text : text.slice(0, lineEnd(text, lf)))
  if (line === null) throw new UpstreamFault('garbled', 'the status line is malformed')
  const [, told = '', blanks, digits, reason = ''] = line
  const version = told === '1.0' ? told : '1.1'
  const status = Number(digits)
  // A server that errs in its first line may err in more.
  const isUsual = told <= '1.1' && blanks === ' '
  const reader = new FieldReader(reading)
  if (lf >= 0) eachField(text, lf + 1, reader.take)
  const framing = framingOf(reader, { status, method })
  return {
    status,
    reason: reason.replace(notInReason, ' '),
    version,
    fields: reader.passedOn(status),
    framing,
    upgrade: reader.upgrade,
    keepsForMs: reader.keepsForMs,
    keepsAlive: isUsual && reader.keepsAlive(version) && !mayBringStrayBody(method, status, reader),
  }
}

/**
 * Servers such as cheroot, Starman and waitress send the body of GET in answer to HEAD, and others one with 204 or 304,
 * at any time after the head. On a connection that is used again it would stand before the next answer, or pass for it.
 * Where the head rules out a body there is none to fear; with 1xx, 204 and 304, unless the head announces one.
 */
function mayBringStrayBody(method: string, status: number, reader: FieldReader): boolean {
  const { contentLength, transferEncoding } = reader
  const hasNone = status < 200 || status === 204 || status === 304
  if (method !== 'HEAD' && !hasNone) return false
  return transferEncoding !== undefined || Number(contentLength ?? (hasNone ? 0 : 1)) > 0
}

const fold = /\r?\n[ \t]+/g
const blankBeforeColon = /^([!#$%&'*+\-.^_`|~\dA-Za-z]+)[ \t]+:/gm

/** The status line is not folded, so that a first field line that begins with a blank stays what it is. */
function putRight(text: string): string {
  const fieldsAt = text.indexOf('\n') + 1
  if (fieldsAt === 0) return text
  return text.slice(0, fieldsAt) + text.slice(fieldsAt).replace(fold, ' ').replace(blankBeforeColon, '$1:')
}

/** Sorts the fields of one head into those for us and those to pass on. */
class FieldReader {
  readonly #fields: string[] = []
  readonly reading: Reading
  #nominated = noNames
  contentLength: string | undefined
  transferEncoding: string | undefined
  upgrade: string | undefined
  keepsForMs: number | undefined

  constructor(reading: Reading) {
    this.reading = reading
  }

  readonly take = ({ role, spelling }: FieldName, value: string): void => {
    switch (role) {
      case 'end-to-end':
        this.#fields.push(spelling, value)
        return
      case 'connection':
        if (this.#nominated === noNames) this.#nominated = listMembers(value)
        else for (const member of listMembers(value)) this.#nominated.push(member)
        return
      case 'content-length':
        this.#takeLength(spelling, value)
        return
      case 'transfer-encoding':
        // RFC 2616 §3.6 had a name for no coding.
        if (this.reading === 'tolerant' && value.toLowerCase() === 'identity') return
        if (this.transferEncoding !== undefined) throw new UpstreamFault('garbled', 'Transfer-Encoding stands twice')
        this.transferEncoding = value
        return
      case 'upgrade':
        this.upgrade = value
        return
      case 'keep-alive': {
        const seconds = keepAliveTimeout.exec(value)?.[1]
        if (seconds !== undefined) this.keepsForMs = Number(seconds) * 1000
        return
      }
      case 'hop-by-hop':
    }
  }

  #takeLength(spelling: string, value: string): void {
    const lengths = this.reading === 'tolerant' ? [...new Set(listMembers(value))] : [value]
    const [length = ''] = lengths
    if (lengths.length > 1 || (this.contentLength ?? length) !== length || this.#isRepeated) {
      throw new UpstreamFault('garbled', 'Content-Length stands twice')
    }
    if (this.contentLength === undefined) this.#fields.push(spelling, length)
    this.contentLength = length
  }

  get #isRepeated(): boolean {
    return this.contentLength !== undefined && this.reading === 'strict'
  }

  /** Without what Connection nominates, and without a length where there can be no body (RFC 9110 §8.6). */
  passedOn(status: number): string[] {
    const dropped = this.#nominated.filter((name) => name !== 'close' && name !== 'keep-alive' && name !== 'upgrade')
    if (status === 204 || status < 200 || this.transferEncoding !== undefined) dropped.push('content-length')
    if (dropped.length === 0) return this.#fields
    const names = new Set(dropped)
    return fieldsWhere(this.#fields, (spelling) => !names.has(fieldName(spelling).lowerCase))
  }

  /** RFC 9112 §9.3: `close` wins over whatever else is said. §6.1: HTTP/1.0 knows no chunks, so nothing follows them. */
  keepsAlive(version: '1.0' | '1.1'): boolean {
    if (this.#nominated.includes('close') || this.keepsForMs === 0) return false
    return version === '1.1' || (this.#nominated.includes('keep-alive') && this.transferEncoding === undefined)
  }
}

const noNames: string[] = []
/** RFC 2068 §19.7.1.1; Node, Apache, Tomcat and cheroot say it. */
const keepAliveTimeout = /(?:^|[\s,])timeout=(\d{1,9})(?!\d)/i

interface Answered {
  readonly status: number
  readonly method: string
}

/** RFC 9112 §6.3. */
function framingOf(
  { contentLength, transferEncoding, reading }: FieldReader,
  { status, method }: Answered,
): BodyFraming {
  const length = contentLength === undefined ? undefined : lengthOf(contentLength)
  if (transferEncoding !== undefined) {
    if (length !== undefined && reading === 'strict')
      throw new UpstreamFault('garbled', 'Content-Length and Transfer-Encoding stand together')
    if (transferEncoding.toLowerCase() !== 'chunked') throw new UpstreamFault('garbled', 'an unknown transfer coding')
  }
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return 'none'
  if (transferEncoding !== undefined) return 'chunked'
  return length ?? 'until-close'
}

function lengthOf(value: string): number {
  const length = /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN
  if (!Number.isSafeInteger(length)) throw new UpstreamFault('garbled', 'Content-Length is malformed')
  return length
}
