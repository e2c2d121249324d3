import { isIP, isIPv4 } from 'node:net'
import { ProxyError } from '@ipfleet/errors/proxy-error.ts'
import type { Expected } from '@ipfleet/upstream/classify.ts'
import ipaddr from 'ipaddr.js'

/** What a GET asks for, in the one form under which it is cached and asked upstream. */
export interface Question {
  /** Path and allowed query, canonical: the cache's key and the upstream path at once. */
  readonly target: string
  readonly expected: Expected
  /** The address, canonical, if the question is about one. */
  readonly address?: string
  /** The one field that is asked for. */
  readonly field?: string
}

/** What a request target means. */
export type Parsed =
  | { readonly kind: 'question'; readonly question: Question }
  /** About the calling client: `/`, `/json`, `/city`. `rest` is what follows the address in the question. */
  | { readonly kind: 'own'; readonly rest: readonly string[] }
  /** `/me`: the account behind a key. */
  | { readonly kind: 'account' }

/** Fields that are answered as one line of text. */
export const textFields: ReadonlySet<string> = new Set(
  'ip hostname city region country loc postal timezone org'.split(' '),
)
const jsonModules: ReadonlySet<string> = new Set(
  'company carrier abuse privacy privacy_extended asn domains resproxy'.split(' '),
)

/**
 * Reads a request target, such as `/8.8.8.8/city?token=…`, on the legacy surface. All spellings of an address are one
 * question; the client's token and unknown parameters are no part of it.
 * @throws ProxyError `bad_request` for what no URL should hold, `wrong_ip` for what is nearly an address
 */
export function parseTarget(target: string): Parsed {
  const { path, query } = splitTarget(target)
  const segments = path.split('/').filter(Boolean).map(decodeSegment)
  const [first, ...rest] = segments
  if (first === undefined || first === 'json' || first === 'geo') return { kind: 'own', rest: segments }
  if (first === 'me' && rest.length === 0) return { kind: 'account' }
  if ((textFields.has(first) || jsonModules.has(first)) && rest.length === 0) return { kind: 'own', rest: segments }
  const address = canonicalAddress(first)
  if (address !== undefined) return { kind: 'question', question: questionAbout(address, rest, query) }
  if (looksLikeAddress(first)) throw new ProxyError('wrong_ip')
  return { kind: 'question', question: { target: passedOn(path, query), expected: 'any' } }
}

/** The question about one address. `rest`: what follows it in the path. */
export function questionAbout(address: string, rest: readonly string[], query?: URLSearchParams): Question {
  const [part, ...more] = rest
  // `1.1.1.1/24` is a network, and no address has a field named by a number.
  if (part !== undefined && /^\d+$/.test(part)) throw new ProxyError('wrong_ip')
  const suffix = query?.has('fields') ? `?fields=${encodeURIComponent(query.get('fields') ?? '')}` : ''
  if (part === undefined || (part === 'json' && more.length === 0)) {
    return { target: `/${address}${suffix}`, expected: 'json', address }
  }
  const path = `/${[address, ...rest.map(encodeURIComponent)].join('/')}`
  if (part === 'geo') return { target: path, expected: 'json', address }
  const expected = textFields.has(part) ? 'text' : jsonModules.has(part) ? 'json' : 'any'
  return { target: `${path}${suffix}`, expected, address, field: part }
}

/**
 * The one spelling of an address (RFC 5952), or undefined for anything that is not strictly an address. An
 * IPv4-mapped IPv6 address is the IPv4 address. ipaddr.js alone would take `0x7f.1` and the like, hence `isIP`.
 */
export function canonicalAddress(text: string): string | undefined {
  if (isIPv4(text)) return text
  // isIP takes a zone (`fe80::1%eth0`), which means nothing beyond one host.
  if (isIP(text) === 0 || text.includes('%')) return undefined
  const parsed = ipaddr.IPv6.parse(text)
  return parsed.isIPv4MappedAddress() ? parsed.toIPv4Address().toString() : parsed.toRFC5952String()
}

/** Only digits, dots and colons of any script, brackets, hex: someone meant an address. */
function looksLikeAddress(segment: string): boolean {
  return /[.:。．[\]%]/.test(segment) || /^\p{Nd}+$/u.test(segment) || /^0x[\da-f]+$/i.test(segment)
}

function splitTarget(target: string): { path: string; query: URLSearchParams } {
  const mark = target.indexOf('?')
  // Swift's SDK asks for `/batch&filter=1`; elsewhere an ampersand in the path stays what it is.
  const path = mark < 0 ? target : target.slice(0, mark)
  return { path, query: new URLSearchParams(mark < 0 ? '' : target.slice(mark + 1)) }
}

/** @throws ProxyError `bad_request` for malformed escapes, hidden separators, control characters and `..` */
function decodeSegment(segment: string): string {
  let decoded: string
  try {
    decoded = decodeURIComponent(segment)
  } catch (cause) {
    throw new ProxyError('bad_request', { cause })
  }
  // oxlint-disable-next-line no-control-regex -- control characters are what is refused
  if (/[\u0000-\u001f\u007f/\\]/.test(decoded) || decoded === '.' || decoded === '..')
    throw new ProxyError('bad_request')
  return decoded
}

/** A path that only upstream understands, as asked; the client's token and JSONP name stay here. */
function passedOn(path: string, query: URLSearchParams): string {
  const kept = new URLSearchParams(query)
  kept.delete('token')
  kept.delete('callback')
  return kept.size === 0 ? path : `${path}?${kept}`
}
