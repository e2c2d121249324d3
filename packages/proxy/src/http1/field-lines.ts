import { ownLatin1 } from '@ipfleet/core/own-latin1.ts'
import { UpstreamFault } from './upstream-fault.ts'

/** What a field means to a proxy that passes the message on. */
export type FieldRole =
  | 'end-to-end'
  | 'connection'
  | 'content-length'
  | 'transfer-encoding'
  | 'upgrade'
  | 'keep-alive'
  /** Meant for the next one on the way only, and of no interest to us (RFC 9110 §7.6.1). */
  | 'hop-by-hop'

export interface FieldName {
  readonly spelling: string
  readonly lowerCase: string
  readonly role: FieldRole
  /** The name that stood behind this one when both were seen last: servers send theirs in the same order. */
  next: FieldName | undefined
}

const roles = new Map<string, FieldRole>([
  ['connection', 'connection'],
  ['content-length', 'content-length'],
  ['transfer-encoding', 'transfer-encoding'],
  ['upgrade', 'upgrade'],
  ['keep-alive', 'keep-alive'],
  ['proxy-connection', 'hop-by-hop'],
  ['te', 'hop-by-hop'],
  ['http2-settings', 'hop-by-hop'],
])

/** RFC 9110 §5.6.2: token. */
const tokenForm = /^[!#$%&'*+\-.^_`|~\dA-Za-z]+$/
/** RFC 9110 §5.5. Other control characters are passed on: servers send them, and there is one way to read them. */
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const lineBreaking = /[\0\r]/

/** Servers send the same few names again and again; each spelling is checked once. */
const known = new Map<string, FieldName>()
const maxKnown = 2000
const maxKnownLength = 64

/** @throws UpstreamFault `garbled` for what is no field name */
export function fieldName(spelling: string): FieldName {
  const name = knownName(spelling)
  if (name === undefined) throw new UpstreamFault('garbled', 'a field name is malformed')
  return name
}

/** Undefined for what is no field name. */
export function knownName(spelling: string): FieldName | undefined {
  const seen = known.get(spelling)
  if (seen !== undefined) return seen
  if (!tokenForm.test(spelling)) return undefined
  // A copy: a part of a string keeps the whole of it in memory, and this one is a part of a head.
  const own = ownLatin1(spelling)
  const lowerCase = own.toLowerCase()
  const name: FieldName = { spelling: own, lowerCase, role: roles.get(lowerCase) ?? 'end-to-end', next: undefined }
  if (own.length <= maxKnownLength) {
    // Names that a server makes up must not displace those in use for good.
    if (known.size >= maxKnown) forgetAll()
    known.set(own, name)
  }
  return name
}

/** And what they name, which may be known no more. */
function forgetAll(): void {
  for (const name of known.values()) name.next = undefined
  known.clear()
}

/**
 * Calls back for each field line of `text` from `start` on; the last one ends in nothing, the others in CRLF, or in LF
 * alone (RFC 9112 §2.2). A line that continues the one before (obs-fold), a bare CR, and NUL are
 * faults: two readers would read them in two ways.
 * @throws UpstreamFault `garbled`
 */
export function eachField(text: string, start: number, take: (name: FieldName, value: string) => void): void {
  let before = beforeFirst
  for (let at = start; at < text.length;) {
    const next = text.indexOf('\n', at)
    const end = next < 0 ? text.length : lineEnd(text, next)
    const name = nameAt(text, at, end, before)
    const value = trimmed(text, at + name.spelling.length + 1, end)
    if (lineBreaking.test(value)) throw new UpstreamFault('garbled', 'a field value holds a CR or NUL')
    take(name, value)
    before = name
    at = next < 0 ? text.length : next + 1
  }
}

const beforeFirst: FieldName = { spelling: '', lowerCase: '', role: 'end-to-end', next: undefined }

/** Of the line between two indices, behind that of another name. */
function nameAt(text: string, at: number, end: number, before: FieldName): FieldName {
  const likely = before.next
  if (likely !== undefined && text.startsWith(likely.spelling, at)) {
    if (text.charCodeAt(at + likely.spelling.length) === COLON) return likely
  }
  const colon = text.indexOf(':', at)
  if (colon < 0 || colon >= end) throw new UpstreamFault('garbled', 'a field line has no colon')
  const name = fieldName(text.slice(at, colon))
  if (name.spelling.length <= maxKnownLength) before.next = name
  return name
}

/** Where the line ends whose LF is at `lf`: before the CR, if there is one. */
export function lineEnd(text: string, lf: number): number {
  return text.charCodeAt(lf - 1) === CR ? lf - 1 : lf
}

const CR = 0x0d
const COLON = 0x3a
const SPACE = 0x20
const TAB = 0x09

/** Without the optional white space around it (RFC 9110 §5.6.3), which is not all that `trim` would take. */
function trimmed(text: string, from: number, to: number): string {
  let start = from
  let end = to
  while (start < end && isBlank(text.charCodeAt(start))) start += 1
  while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1
  return text.slice(start, end)
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB
}

/** The members of a comma-separated list, in lower case, without the empty ones. */
export function listMembers(value: string): string[] {
  return value
    .toLowerCase()
    .split(',')
    .map((member) => member.trim())
    .filter((member) => member !== '')
}
