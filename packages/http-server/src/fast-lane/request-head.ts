import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { hostForm } from '../request-guard.ts'

/** What code that answers from a request's head needs of it, be it read by the lane or by node:http. */
export type RequestHead = Pick<IncomingMessage, 'url' | 'headers' | 'socket'>

export interface ReadHead {
  readonly url: string
  readonly headers: IncomingHttpHeaders
  /** Where the next request begins. */
  readonly end: number
}

/** A head that is longer is for node:http, whose limit is higher. */
const maxHeadLength = 4096
/** More fields are for node:http as well. */
const maxFields = 64

const METHOD = 'GET '
const VERSION = ' HTTP/1.1'
const LINE_END = '\r\n'
const HEAD_END = '\r\n\r\n'

/** Origin-form (RFC 9112 §3.2.1) of the characters of RFC 3986. There is no fragment. */
const targetForm = /^\/[\w.:%~@!$&'()*+,;=?/-]*$/
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
  /** Fields seldom differ between the requests of a client. They are all that is kept: who may ask is decided each time. */
  readonly #known = new Map<string, IncomingHttpHeaders>()

  /**
   * @param text latin1, of which a request begins at `from`
   * @returns undefined for a head that is not whole, and for one that node:http has to read
   */
  read(text: string, from: number): ReadHead | undefined {
    if (!text.startsWith(METHOD, from)) return undefined
    const lineEnd = text.indexOf(LINE_END, from)
    const headEnd = text.indexOf(HEAD_END, lineEnd)
    // Without a field (`lineEnd === headEnd`) there is no Host.
    if (lineEnd < 0 || headEnd <= lineEnd || headEnd - from > maxHeadLength) return undefined
    const urlEnd = lineEnd - VERSION.length
    if (!text.startsWith(VERSION, urlEnd)) return undefined
    const url = text.slice(from + METHOD.length, urlEnd)
    if (!targetForm.test(url)) return undefined
    const headers = this.#fields(text.slice(lineEnd + LINE_END.length, headEnd + LINE_END.length))
    return headers && { url, headers, end: headEnd + HEAD_END.length }
  }

  #fields(lines: string): IncomingHttpHeaders | undefined {
    const known = this.#known.get(lines)
    if (known !== undefined) return known
    const headers = fieldsIn(lines)
    if (headers !== undefined && isWorthKeeping(lines, headers)) this.#keep(lines, headers)
    return headers
  }

  #keep(lines: string, headers: IncomingHttpHeaders): void {
    if (this.#known.size >= maxKnown) this.#known.clear()
    // A copy: a part of a string keeps the whole of it in memory.
    this.#known.set(Buffer.from(lines, 'latin1').toString('latin1'), headers)
  }
}

const maxKnown = 250
const maxKnownLength = 1024

/** Fields that name the single request do not come again. */
function isWorthKeeping(lines: string, headers: IncomingHttpHeaders): boolean {
  return lines.length <= maxKnownLength && headers['x-request-id'] === undefined && headers['traceparent'] === undefined
}

/** The fields by their name in lower case, as node:http has them; undefined where one of them is not for the lane. */
function fieldsIn(lines: string): IncomingHttpHeaders | undefined {
  const headers: IncomingHttpHeaders = Object.create(null)
  fieldLine.lastIndex = 0
  for (let count = 0; fieldLine.lastIndex < lines.length; count += 1) {
    const [, cased, value] = fieldLine.exec(lines) ?? []
    if (cased === undefined || count === maxFields) return undefined
    const name = cased.toLowerCase()
    if (name in headers || forHttp.has(name)) return undefined
    headers[name] = value
  }
  const { host, connection = 'keep-alive' } = headers
  if (host === undefined || !hostForm.test(host) || connection.toLowerCase() !== 'keep-alive') return undefined
  return headers
}
