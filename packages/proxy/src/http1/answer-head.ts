import { eachField, type FieldName, fieldName, lineEnd, listMembers } from './field-lines.ts'
import { UpstreamFault } from './upstream-fault.ts'
import type { AnswerHead, BodyFraming } from './exchange-types.ts'
import { fieldsWhere } from './raw-fields.ts'

export interface ParsedHead extends AnswerHead {
  /** Whether the server keeps the connection after this answer. */
  readonly keepsAlive: boolean
}

/**
 * RFC 9112 §4; servers leave out the blank before an empty reason. A status above 599 is passed on: RFC 9110 §15 says how
 * clients take it.
 */
const statusLine = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: ([\t\x20-\x7e\x80-\xff]*))?$/

/**
 * Reads the head of an answer, given without the empty line at its end. Strict, because what two readers understand
 * in two ways can be made into an answer to another client's request.
 * @throws UpstreamFault `garbled`
 */
export function parseAnswerHead(text: string, method: string): ParsedHead {
  const lf = text.indexOf('\n')
  const line = statusLine.exec(lf < 0 ? text : text.slice(0, lineEnd(text, lf)))
  if (line === null) throw new UpstreamFault('garbled', 'the status line is malformed')
  const version = line[1] === '1' ? '1.1' : '1.0'
  const status = Number(line[2])
  const reader = new FieldReader()
  if (lf >= 0) eachField(text, lf + 1, reader.take)
  const framing = framingOf(reader, { status, version, method })
  return {
    status,
    reason: line[3] ?? '',
    version,
    fields: reader.passedOn(status),
    framing,
    upgrade: reader.upgrade,
    keepsAlive: reader.keepsAlive(version) && !mayBringStrayBody(method, status, reader),
  }
}

/**
 * Servers such as cheroot, Starman and waitress send the body of GET in answer to HEAD, at any time after the head. On a
 * connection that is used again it would stand before the next answer, or pass for it. Where the head rules out a body
 * there is none to fear.
 */
function mayBringStrayBody(method: string, status: number, { contentLength }: FieldReader): boolean {
  if (method !== 'HEAD' || status < 200 || status === 204 || status === 304) return false
  return contentLength === undefined || Number(contentLength) > 0
}

/** Sorts the fields of one head into those for us and those to pass on. */
class FieldReader {
  readonly #fields: string[] = []
  #nominated: readonly string[] = noNames
  contentLength: string | undefined
  transferEncoding: string | undefined
  upgrade: string | undefined

  readonly take = ({ role }: FieldName, spelling: string, value: string): void => {
    switch (role) {
      case 'end-to-end':
        this.#fields.push(spelling, value)
        return
      case 'connection':
        this.#nominated = [...this.#nominated, ...listMembers(value)]
        return
      case 'content-length':
        if (this.contentLength !== undefined) throw new UpstreamFault('garbled', 'Content-Length stands twice')
        this.contentLength = value
        this.#fields.push(spelling, value)
        return
      case 'transfer-encoding':
        if (this.transferEncoding !== undefined) throw new UpstreamFault('garbled', 'Transfer-Encoding stands twice')
        this.transferEncoding = value
        return
      case 'upgrade':
        this.upgrade = value
        return
      case 'hop-by-hop':
    }
  }

  /** Without what Connection nominates, and without a length where there can be no body (RFC 9110 §8.6). */
  passedOn(status: number): string[] {
    const dropped = this.#nominated.filter((name) => name !== 'close' && name !== 'keep-alive' && name !== 'upgrade')
    if (status === 204 || status < 200) dropped.push('content-length')
    if (dropped.length === 0) return this.#fields
    return fieldsWhere(this.#fields, (spelling) => !dropped.includes(fieldName(spelling).lowerCase))
  }

  /** RFC 9112 §9.3: `close` wins over whatever else is said. */
  keepsAlive(version: '1.0' | '1.1'): boolean {
    if (this.#nominated.includes('close')) return false
    return version === '1.1' || this.#nominated.includes('keep-alive')
  }
}

const noNames: readonly string[] = []

interface Answered {
  readonly status: number
  readonly version: '1.0' | '1.1'
  readonly method: string
}

/** RFC 9112 §6.3, without its leniencies. */
function framingOf(
  { contentLength, transferEncoding }: FieldReader,
  { status, version, method }: Answered,
): BodyFraming {
  const length = contentLength === undefined ? undefined : lengthOf(contentLength)
  if (transferEncoding !== undefined) {
    if (length !== undefined) throw new UpstreamFault('garbled', 'Content-Length and Transfer-Encoding stand together')
    if (version === '1.0') throw new UpstreamFault('garbled', 'Transfer-Encoding in HTTP/1.0')
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
