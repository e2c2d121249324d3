import { formatTraceparent, parseTraceparent, type TraceContext } from '@ipfleet/core/trace-context.ts'
import type { AnswerHead } from './http1/exchange-types.ts'
import { logsInConnection } from './http1/connection-login.ts'
import { listMembers } from './http1/field-lines.ts'
import { fieldsWhere, isNamed } from './http1/raw-fields.ts'

/** Takes down what a field says. */
type Note = (to: ForwardedHeaders, value: string) => void

/** `dropped`: for this hop only, or never to be believed: it is left out, and set anew where it is wanted. */
type Role = 'passed' | 'dropped' | 'connection' | 'cookie' | 'authorization' | Note

const noteHost: Note = (to, value) => (to.host = value)

/** Of fields with a meaning of their own to a proxy that passes the request on. */
const roles = new Map<string, Role>([
  ['host', noteHost],
  [':authority', noteHost],
  ['connection', 'connection'],
  ['cookie', 'cookie'],
  ['authorization', 'authorization'],
  ['content-length', (to, value) => (to.contentLength = value)],
  ['transfer-encoding', (to) => (to.chunked = true)],
  ['te', (to, value) => (to.takesTrailers ||= /(?:^|,)\s*trailers\s*(?:,|$)/i.test(value))],
  ['upgrade', (to, value) => (to.upgrade = value)],
  ['expect', (to, value) => (to.expectsContinue = value.toLowerCase() === '100-continue')],
  ['max-forwards', (to, value) => (to.maxForwards = value)],
  ['via', (to, value) => (to.via = joined(to.via, value, ', '))],
  // Two ids are none, and neither is chosen: `a, b` has not the form of one. Nor has that of two traceparents.
  ['x-request-id', (to, value) => (to.requestId = joined(to.requestId, value, ', '))],
  ['traceparent', (to, value) => (to.traceparent = joined(to.traceparent, value, ', '))],
  ['tracestate', (to, value) => (to.tracestate = joined(to.tracestate, value, ','))],
  ['x-egress-ip', (to, value) => (to.egressIp = joined(to.egressIp, value, ', '))],
  ['x-forwarded-for', (to, value) => (to.forwardedFor = joined(to.forwardedFor, value, ', '))],
  ['x-forwarded-proto', (to, value) => (to.forwardedProto = value)],
  ['x-forwarded-host', (to, value) => (to.forwardedHost = value)],
  // RFC 9110 §7.6.1, and what was hop-by-hop in RFC 2616.
  ['keep-alive', 'dropped'],
  ['proxy-connection', 'dropped'],
  ['proxy-authorization', 'dropped'],
  ['http2-settings', 'dropped'],
  // What a proxy says of the client. `Forwarded` would contradict the others unless it were written anew as well.
  ['forwarded', 'dropped'],
  ['x-real-ip', 'dropped'],
  ['x-forwarded-port', 'dropped'],
  ['x-forwarded-server', 'dropped'],
  ['x-proxy', 'dropped'],
  ['x-ipfleet-attempt', 'dropped'],
])

/** Each spelling is looked at once; clients send the same few again and again. */
const known = new Map<string, Role>()
const maxKnown = 2000
const maxKnownLength = 64

function roleOf(spelling: string): Role {
  const role = known.get(spelling)
  if (role !== undefined) return role
  const found = learn(spelling.toLowerCase())
  if (spelling.length <= maxKnownLength) {
    // Names that a client makes up must not displace those in use for good.
    if (known.size >= maxKnown) known.clear()
    known.set(spelling, found)
  }
  return found
}

function learn(name: string): Role {
  const role = roles.get(name)
  if (role !== undefined) return role
  // HTTP/2's other pseudo-fields.
  if (name.startsWith(':')) return 'dropped'
  // CGI and its heirs read `X_Forwarded_For` as `X-Forwarded-For`: so an underscore must not get a field past this proxy.
  if (name.includes('_') && roles.has(name.replaceAll('_', '-'))) return 'dropped'
  return 'passed'
}

/** The fields of a request, sorted for passing it on (RFC 9110 §7.6). */
export class ForwardedHeaders {
  /** What is passed on as it came: field lines, each with its CRLF. Latin-1, as Node gives and takes it. */
  lines = ''
  host = ''
  contentLength: string | undefined
  chunked = false
  takesTrailers = false
  /** The protocol that the client offers to switch to, if Connection says so as well. */
  upgrade: string | undefined
  expectsContinue = false
  /** Whether its credentials are for the connection that it is sent on. */
  logsInConnection = false
  /** How often an OPTIONS or TRACE may still be passed on (RFC 9110 §7.6.2); of other methods it is kept as it is. */
  maxForwards: string | undefined
  via: string | undefined
  requestId: string | undefined
  /** The source address that a client of the egress chooses. No server gets it. */
  egressIp: string | undefined
  traceparent: string | undefined
  tracestate: string | undefined
  forwardedFor: string | undefined
  forwardedProto: string | undefined
  forwardedHost: string | undefined

  /** @param raw names and values in turns, as in `req.rawHeaders`; what is malformed has been refused before */
  constructor(raw: readonly string[]) {
    let connection: string | undefined
    let cookies: string | undefined
    for (let index = 0; index + 1 < raw.length; index += 2) {
      const name = raw[index] ?? ''
      const value = raw[index + 1] ?? ''
      const role = roleOf(name)
      if (role === 'authorization') this.logsInConnection ||= logsInConnection(value)
      if (role === 'passed' || role === 'authorization') this.lines += `${name}: ${value}\r\n`
      else if (role === 'connection') connection = joined(connection, value, ', ')
      // HTTP/2 clients send one field for each cookie (RFC 9113 §8.2.3).
      else if (role === 'cookie') cookies = joined(cookies, value, '; ')
      else if (role !== 'dropped') role(this, value)
    }
    if (cookies !== undefined) this.lines += `Cookie: ${cookies}\r\n`
    this.#heed(connection)
  }

  /** Whether a body follows, as far as the fields say. */
  get bringsBody(): boolean {
    return this.chunked || (this.contentLength !== undefined && this.contentLength !== '0')
  }

  /**
   * The lines that tell the next server which trace it continues: `own`, that of a span of this proxy, or as they came.
   * A traceparent that cannot be read goes no further, nor does a tracestate without one (W3C Trace Context §3.3).
   */
  traceLines(own?: TraceContext): string {
    const isContinued = parseTraceparent(this.traceparent) !== undefined
    const traceparent = own ? formatTraceparent(own) : isContinued ? this.traceparent : undefined
    if (traceparent === undefined) return ''
    const tracestate = isContinued && this.tracestate !== undefined ? `tracestate: ${this.tracestate}\r\n` : ''
    return `traceparent: ${traceparent}\r\n${tracestate}`
  }

  /** Connection may name more fields that are for this hop only; our own are set after it has been heeded. */
  #heed(connection: string | undefined): void {
    if (connection === undefined || connection === 'keep-alive' || connection === 'close') {
      this.upgrade = undefined
      return
    }
    const nominated = new Set(listMembers(connection))
    if (!nominated.has('upgrade')) this.upgrade = undefined
    for (const usual of ['keep-alive', 'close', 'upgrade', 'te']) nominated.delete(usual)
    if (nominated.size > 0) this.lines = linesWithout(nominated, this.lines)
    if (nominated.has('via')) this.via = undefined
    if (nominated.has('x-request-id')) this.requestId = undefined
    if (nominated.has('traceparent')) this.traceparent = undefined
    if (nominated.has('tracestate')) this.tracestate = undefined
    if (nominated.has('x-forwarded-for')) this.forwardedFor = undefined
    if (nominated.has('x-forwarded-proto')) this.forwardedProto = undefined
    if (nominated.has('x-forwarded-host')) this.forwardedHost = undefined
  }
}

function joined(before: string | undefined, value: string, separator: string): string {
  return before === undefined ? value : `${before}${separator}${value}`
}

function linesWithout(nominated: ReadonlySet<string>, lines: string): string {
  const isNominated = (line: string): boolean => nominated.has(line.slice(0, line.indexOf(':')).toLowerCase())
  return lines
    .split('\r\n')
    .filter((line) => !isNominated(line))
    .join('\r\n')
}

/** What becomes of Max-Forwards on this hop. */
export type MaxForwards =
  | { readonly kind: 'pass on'; readonly value: string | undefined }
  /** This is the last one that the request may reach. */
  | { readonly kind: 'answer here' }

/** RFC 9110 §7.6.2: it counts for OPTIONS and TRACE only, and what is no number counts for nothing. */
export function nextMaxForwards(method: string, given: string | undefined): MaxForwards {
  const counts = (method === 'OPTIONS' || method === 'TRACE') && given !== undefined && /^\d{1,9}$/.test(given)
  if (!counts) return { kind: 'pass on', value: given }
  return Number(given) === 0 ? { kind: 'answer here' } : { kind: 'pass on', value: String(Number(given) - 1) }
}

const trailer = 'trailer'
/** What a proxy asks of its own client, and tells it (RFC 9110 §11.7): from further away it would pass for our asking. */
const [asksForCredentials, tellsOfCredentials] = ['proxy-authenticate', 'proxy-authentication-info'] as const

/**
 * What of an answer's fields the client gets: not `ours` (in lower case), which are this hop's to say, nor what a proxy
 * says to its own client only, nor Trailer where no trailers can follow; Node 26 (lib/_http_outgoing.js) throws for that.
 */
export function passedFields(
  { fields, framing }: AnswerHead,
  clientVersion: string,
  ...ours: readonly string[]
): string[] {
  const mayAnnounce = framing === 'chunked' && clientVersion !== '1.0'
  for (let index = 0; index < fields.length; index += 2) {
    if (isDropped(fields[index] ?? '', mayAnnounce, ours)) {
      return fieldsWhere(fields, (name) => !isDropped(name, mayAnnounce, ours))
    }
  }
  return fields
}

function isDropped(name: string, mayAnnounce: boolean, ours: readonly string[]): boolean {
  for (const our of ours) if (isNamed(name, our)) return true
  if (!mayAnnounce && isNamed(name, trailer)) return true
  return isNamed(name, asksForCredentials) || isNamed(name, tellsOfCredentials)
}
