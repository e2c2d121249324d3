import { isIP, isIPv4 } from 'node:net'
import { ProxyError } from '@ipfleet/errors/proxy-error.ts'
import type { Expected } from '@ipfleet/upstream/upstream-request.ts'
import ipaddr from 'ipaddr.js'
import { textFields, type View } from './record-view.ts'

/** IPinfo has two hosts: `ipinfo.io`, and `api.ipinfo.io` for the newer products. */
export type Surface = 'legacy' | 'api'

/** What a GET asks for, in the one form under which it is cached and asked upstream. */
export interface Question {
  readonly surface: Surface
  /** Path and allowed query, canonical: the cache's key and the upstream path at once. */
  readonly target: string
  readonly expected: Expected
  /** The address, canonical, if the question is about one. */
  readonly address?: string
  /** A larger record that holds the answer, and where in it. */
  readonly within?: { readonly record: Question; readonly view: View }
}

/** What a request target means. */
export type Parsed =
  | { readonly kind: 'question'; readonly question: Question }
  /** About the calling client: `/`, `/json`, `/city`, `/lite/me`. */
  | { readonly kind: 'own'; readonly about: (address: string) => Question }
  /** `/me`: the account behind a key. */
  | { readonly kind: 'account' }

const jsonModules: ReadonlySet<string> = new Set(
  'company carrier abuse privacy privacy_extended asn domains resproxy'.split(' '),
)
/** First segments on `api.ipinfo.io`. */
const products: ReadonlySet<string> = new Set('lite lookup plus max resproxy'.split(' '))

/**
 * Reads a request target, such as `/8.8.8.8/city?token=…`, on both surfaces. All spellings of an address are one
 * question; the client's token and unknown parameters are no part of it.
 * @throws ProxyError `bad_request` for what no URL should hold, `wrong_ip` for what is nearly an address
 */
export function parseTarget(target: string): Parsed {
  const { path, query } = splitTarget(target)
  const segments = path.split('/').filter(Boolean).map(decodeSegment)
  const [first, second, ...rest] = segments
  if (first === undefined) return own([], query)
  if (first === 'me' && second === undefined) return { kind: 'account' }
  if (second === undefined && isPart(first)) return own(segments, query)
  if (products.has(first)) return parseProduct(first, second, rest)
  if (/^as\d{1,10}$/i.test(first) && (second === undefined || (second === 'json' && rest.length === 0))) {
    return asked({ surface: 'legacy', target: `/AS${Number(first.slice(2))}`, expected: 'json' })
  }
  if ((first === 'domains' || first === 'places') && second !== undefined && rest.length === 0) {
    return asked(registryQuestion(first, second, query))
  }
  const address = canonicalAddress(first)
  if (address !== undefined) return asked(questionAbout(address, segments.slice(1), query))
  if (looksLikeAddress(first)) throw new ProxyError('wrong_ip')
  const kept = first === 'ranges' || first === 'whois' ? path : passedOn(path, query)
  return asked({ surface: 'legacy', target: kept, expected: 'any' })
}

const asked = (question: Question): Parsed => ({ kind: 'question', question })
const own = (rest: readonly string[], query: URLSearchParams): Parsed => ({
  kind: 'own',
  about: (address) => questionAbout(address, rest, query),
})
const isPart = (segment: string): boolean =>
  segment === 'json' || segment === 'geo' || textFields.has(segment) || jsonModules.has(segment)

/** A question about one address on the legacy surface. `rest`: what follows the address in the path. */
function questionAbout(address: string, rest: readonly string[], query: URLSearchParams): Question {
  const [part, ...more] = rest
  // `1.1.1.1/24` is a network, and no address has a field named by a number.
  if (part !== undefined && /^\d+$/.test(part)) throw new ProxyError('wrong_ip')
  const chosen = query.get('fields')
  const suffix = chosen === null ? '' : `?fields=${encodeURIComponent(chosen)}`
  const surface = 'legacy'
  const record: Question = { surface, target: `/${address}${suffix}`, expected: 'json', address }
  if (part === undefined || (part === 'json' && more.length === 0)) return record
  const target = `/${[address, ...rest.map(encodeURIComponent)].join('/')}${suffix}`
  if (more.length > 0) return { surface, target, expected: 'any', address }
  if (part === 'geo') return { surface, target, expected: 'json', address, within: { record, view: { kind: 'geo' } } }
  if (!textFields.has(part)) return { surface, target, expected: jsonModules.has(part) ? 'json' : 'any', address }
  // Of these fields the record holds all that is known: one that it lacks is unknown to upstream too.
  const view: View = { kind: 'field', path: [part], absentIsEmpty: true }
  return { surface, target, expected: 'text', address, within: { record, view } }
}

/** `/lite/8.8.8.8`, `/lookup/me/geo/city`: a product's record of an address, or something in it. */
function parseProduct(product: string, subject: string | undefined, path: readonly string[]): Parsed {
  const about = (address: string): Question => {
    const record: Question = { surface: 'api', target: `/${product}/${address}`, expected: 'json', address }
    if (path.length === 0) return record
    const view: View = { kind: 'field', path, absentIsEmpty: false }
    const target = [record.target, ...path.map(encodeURIComponent)].join('/')
    return { surface: 'api', target, expected: 'any', address, within: { record, view } }
  }
  if (subject === undefined || subject === 'me') return { kind: 'own', about }
  const address = canonicalAddress(subject)
  if (address === undefined) throw new ProxyError('wrong_product_ip')
  return asked(about(address))
}

function registryQuestion(registry: 'domains' | 'places', subject: string, query: URLSearchParams): Question {
  const address = canonicalAddress(subject)
  if (address === undefined) throw new ProxyError('wrong_ip')
  const kept = new URLSearchParams()
  for (const name of ['limit', 'page']) if (query.has(name)) kept.set(name, query.get(name) ?? '')
  const target = `/${registry}/${address}${kept.size === 0 ? '' : `?${kept.toString()}`}`
  return { surface: registry === 'places' ? 'api' : 'legacy', target, expected: 'json', address }
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
    // The zone of `fe80::1%eth0` is not meant as an escape.
    throw new ProxyError(/^[\da-f.]*:[\da-f:.]*%/i.test(segment) ? 'wrong_ip' : 'bad_request', { cause })
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
  return kept.size === 0 ? path : `${path}?${kept.toString()}`
}
