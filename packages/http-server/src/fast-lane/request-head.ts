import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { ownLatin1 } from '@ipfleet/core/own-latin1.ts'
import { hostForm } from '../request-guard.ts'

/** What code that answers from a request's head needs of it, be it read by the lane or by node:http. */
export type RequestHead = Pick<IncomingMessage, 'url' | 'headers' | 'socket'>

export interface ReadHead {
  readonly method: string
  readonly url: string
  readonly fields: ReadFields
  /** Where the next request begins. */
  readonly end: number
}

export interface ReadFields {
  /** All of them as they came; undefined where they are not expected to come again. */
  readonly lines: string | undefined
  /** By names in lower case. */
  readonly headers: IncomingHttpHeaders
  /** Names and values in turns, as they came. */
  readonly rawHeaders: string[]
}

export interface HeadReaderOptions {
  /** Whether HEAD is read too. Default false: GET only. */
  readonly takesHead?: boolean
  /** Whether a target may have bytes over 0x7f, which node:http refuses. Default false. */
  readonly takesRawTargets?: boolean
  /** Longer heads, and those with more fields, are for node:http, whose limits are higher. */
  readonly maxHeadLength?: number
  readonly maxFields?: () => number
}

const maxHeadLength = 4096
const maxFields = 64

const GET = 'GET '
const HEAD = 'HEAD '
const VERSION = ' HTTP/1.1'
const LINE_END = '\r\n'
const HEAD_END = '\r\n\r\n'

/** Origin-form (RFC 9112 §3.2.1) of the characters of RFC 3986. There is no fragment. */
const targetForm = /^\/[\w.:%~@!$&'()*+,;=?/-]*$/
const rawTargetForm = /^\/[\w.:%~@!$&'()*+,;=?/\x80-\xff-]*$/
/** One field line (RFC 9112 §5): one space or none before a value of printable ASCII, and none behind it. */
const fieldLine = /([\w!#$%&'*+.^`|~-]+): ?((?:[!-~](?:[ -~]*[!-~])?)?)\r\n/y

/**
 * What announces a body or another protocol, has a meaning for the connection, or is not a text in the headers of
 * node:http (Node 26 makes a list of Set-Cookie and loses `__proto__`).
 */
const forHttp: ReadonlySet<string> = new Set([
  '__proto__',
  'content-length',
  'expect',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'set-cookie',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/**
 * Reads heads of plain requests: GET in origin-form, HTTP/1.1, one Host, no body, on a connection that stays. Whatever
 * node:http could read in another way is not read here: the grammar is a part of its grammar (Node 26, llhttp 9.4), and
 * no field may be there twice.
 */
export class HeadReader {
  readonly #takesHead: boolean
  readonly #targetForm: RegExp
  readonly #maxHeadLength: number
  readonly #maxFields: () => number
  /** Fields seldom differ between the requests of a client. They are all that is kept: who may ask is decided each time. */
  readonly #known = new Map<string, ReadFields>()

  constructor(options: HeadReaderOptions = {}) {
    this.#takesHead = options.takesHead === true
    this.#targetForm = options.takesRawTargets === true ? rawTargetForm : targetForm
    this.#maxHeadLength = Math.min(maxHeadLength, options.maxHeadLength ?? maxHeadLength)
    this.#maxFields = options.maxFields ?? (() => maxFields)
  }

  /**
   * @param text latin1, of which a request begins at `from`
   * @param last of the connection's last request: its next one nearly always has the same
   * @returns undefined for a head that is not whole, and for one that node:http has to read
   */
  read(text: string, from: number, last?: ReadFields): ReadHead | undefined {
    const method = this.#methodOf(text, from)
    if (method === undefined) return undefined
    const urlAt = from + method.length + 1
    const lineEnd = text.indexOf(LINE_END, urlAt)
    const known = last !== undefined && isNext(text, lineEnd + LINE_END.length, last.lines) ? last : undefined
    const headEnd = known?.lines === undefined ? text.indexOf(HEAD_END, lineEnd) : lineEnd + known.lines.length
    // Without a field (`lineEnd === headEnd`) there is no Host.
    if (lineEnd < 0 || headEnd <= lineEnd || headEnd - from > this.#maxHeadLength) return undefined
    const urlEnd = lineEnd - VERSION.length
    if (!text.startsWith(VERSION, urlEnd)) return undefined
    const url = text.slice(urlAt, urlEnd)
    if (!this.#targetForm.test(url)) return undefined
    const fields = known ?? this.#fields(text.slice(lineEnd + LINE_END.length, headEnd + LINE_END.length))
    if (fields === undefined || fields.rawHeaders.length > 2 * this.#maxFields()) return undefined
    return { method, url, fields, end: headEnd + HEAD_END.length }
  }

  #methodOf(text: string, from: number): 'GET' | 'HEAD' | undefined {
    if (text.startsWith(GET, from)) return 'GET'
    return this.#takesHead && text.startsWith(HEAD, from) ? 'HEAD' : undefined
  }

  #fields(lines: string): ReadFields | undefined {
    const known = this.#known.get(lines)
    if (known !== undefined) return known
    const fields = fieldsIn(lines)
    return fields !== undefined && isWorthKeeping(lines, fields) ? this.#keep(lines) : fields
  }

  /** From a copy: a part of a string keeps the whole of it in memory. */
  #keep(given: string): ReadFields | undefined {
    const lines = ownLatin1(given)
    const fields = fieldsIn(lines)
    if (fields === undefined) return undefined
    const kept = { ...fields, lines }
    if (this.#known.size >= maxKnown) this.#known.clear()
    this.#known.set(lines, kept)
    return kept
  }
}

const maxKnown = 250
const maxKnownLength = 1024

/** Fields that name the single request do not come again. */
function isWorthKeeping(lines: string, { headers }: ReadFields): boolean {
  return lines.length <= maxKnownLength && headers['x-request-id'] === undefined && headers['traceparent'] === undefined
}

/** Whether these field lines, and nothing more of a head, stand there. */
function isNext(text: string, at: number, lines: string | undefined): boolean {
  if (lines === undefined) return false
  const end = at + lines.length
  return text.slice(at, end) === lines && text.startsWith(LINE_END, end)
}

/** Undefined where one of the fields is not for the lane. */
function fieldsIn(lines: string): ReadFields | undefined {
  const headers: IncomingHttpHeaders = Object.create(null)
  const rawHeaders: string[] = []
  fieldLine.lastIndex = 0
  while (fieldLine.lastIndex < lines.length) {
    const [, cased, value] = fieldLine.exec(lines) ?? []
    if (cased === undefined || value === undefined || rawHeaders.length === 2 * maxFields) return undefined
    const name = cased.toLowerCase()
    if (name in headers || forHttp.has(name)) return undefined
    headers[name] = value
    rawHeaders.push(cased, value)
  }
  const { host, connection = 'keep-alive' } = headers
  if (host === undefined || !hostForm.test(host) || connection.toLowerCase() !== 'keep-alive') return undefined
  return { lines: undefined, headers, rawHeaders }
}
