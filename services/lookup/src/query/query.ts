import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { canonicalAddress } from '@ipfleet/net/canonical-address.ts'
import type { Expected, UpstreamRequest } from '@ipfleet/upstream/upstream-request.ts'
import { textFields, type View } from './record-view.ts'

/** IPinfo has two hosts: `ipinfo.io`, and `api.ipinfo.io` for the newer products. */
export type Surface = 'legacy' | 'api'

/** What a GET asks for, in the one form under which it is cached and asked upstream. */
export interface Query {
  readonly surface: Surface
  /** Path and allowed parameters, canonical: the cache's key and the upstream path at once. */
  readonly target: string
  readonly expected: Expected
  /** The address, canonical, if the query is about one. */
  readonly address?: string
  /** A path that only upstream knows: it may be about the account of the key, so what it finds is for one client. */
  readonly isPrivate?: true
  /** A larger record that holds the answer, and where in it. */
  readonly within?: { readonly record: Query; readonly view: View }
}

export function requestOf({ surface, target, expected }: Query): UpstreamRequest {
  return { method: 'GET', surface, path: target, expected }
}

export type Parsed =
  | { readonly kind: 'query'; readonly query: Query }
  /** About the calling client: `/`, `/json`, `/city`, `/lite/me`. */
  | { readonly kind: 'own'; readonly about: (address: string) => Query }
  /** Asked each time, for one client: `/me`, the account behind a key, and what is spelled like it; a download. */
  | { readonly kind: 'direct'; readonly path: string; readonly expected: Expected }

/** Modules of an address that are answered as JSON. */
export const jsonModules: ReadonlySet<string> = new Set(
  'company carrier abuse privacy privacy_extended asn domains resproxy'.split(' '),
)
/** First segments on `api.ipinfo.io`. */
const products: ReadonlySet<string> = new Set('lite lookup plus max resproxy'.split(' '))
/** The parameters that upstream knows of a path, by its first segment; no other reaches it. */
const parametersOf: ReadonlyMap<string, readonly string[]> = new Map([
  ['domains', ['limit', 'page']],
  ['places', ['limit', 'page']],
  ['whois', ['page', 'whoissource']],
])

/**
 * Reads a request target, such as `/8.8.8.8/city?token=…`, on both surfaces. All spellings of an address are one
 * query; the client's token and parameters that upstream does not know are no part of it.
 * @throws ProxyError `bad_request` for what no URL should hold, `wrong_ip` for what is nearly an address
 */
export function parseTarget(target: string): Parsed {
  const { path: spelled, parameters } = splitTarget(target)
  const segments = segmentsOf(spelled)
  const [first, second, ...rest] = segments
  if (first === undefined) return own([], parameters)
  if (/^\s*me\s*(;|$)/i.test(first)) return { kind: 'direct', path: pathOf(segments), expected: 'json' }
  if (first === 'data' && second !== undefined) return { kind: 'direct', path: pathOf(segments), expected: 'any' }
  if (second === undefined && isPart(first)) return own(segments, parameters)
  if (products.has(first)) return parseProduct(first, second, rest)
  if (/^as\d{1,10}$/i.test(first) && (second === undefined || (second === 'json' && rest.length === 0))) {
    return asked({ surface: 'legacy', target: `/AS${Number(first.slice(2))}`, expected: 'json' })
  }
  if ((first === 'domains' || first === 'places') && second !== undefined && rest.length === 0) {
    return asked(registryQuery(first, second, parameters))
  }
  const address = canonicalAddress(first)
  if (address !== undefined) return asked(queryAbout(address, segments.slice(1), parameters))
  if (looksLikeAddress(first)) throw new ProxyError('wrong_ip')
  const path = pathOf(segments) + keptParameters(first, parameters)
  if (first === 'ranges' || first === 'whois') return asked({ surface: 'legacy', target: path, expected: 'json' })
  return asked({ surface: 'legacy', target: path, expected: 'any', isPrivate: true })
}

const asked = (query: Query): Parsed => ({ kind: 'query', query })
const own = (rest: readonly string[], parameters: URLSearchParams): Parsed => ({
  kind: 'own',
  about: (address) => queryAbout(address, rest, parameters),
})
const isPart = (segment: string): boolean =>
  segment === 'json' || segment === 'geo' || textFields.has(segment) || jsonModules.has(segment)

/** A query about one address on the legacy surface. `rest`: what follows the address in the path. */
function queryAbout(address: string, rest: readonly string[], parameters: URLSearchParams): Query {
  const [part, ...more] = rest
  // `1.1.1.1/24` is a network, and no address has a field named by a number.
  if (part !== undefined && /^\d+$/.test(part)) throw new ProxyError('wrong_ip')
  const chosen = parameters.get('fields')
  const suffix = chosen === null ? '' : `?fields=${encodeURIComponent(chosen)}`
  const surface = 'legacy'
  const record: Query = { surface, target: `/${address}${suffix}`, expected: 'json', address }
  if (part === undefined || (part === 'json' && more.length === 0)) return record
  // `/8.8.8.8/resproxy` and `/resproxy/8.8.8.8` are one record.
  if (part === 'resproxy' && more.length === 0) {
    return { surface: 'api', target: `/resproxy/${address}`, expected: 'json', address }
  }
  const target = `${pathOf([address, ...rest])}${suffix}`
  if (more.length > 0) return { surface, target, expected: 'any', address }
  if (part === 'geo') return { surface, target, expected: 'json', address, within: { record, view: { kind: 'geo' } } }
  if (!textFields.has(part)) return { surface, target, expected: jsonModules.has(part) ? 'json' : 'any', address }
  // Of these fields the record holds all that is known: one that it lacks is unknown to upstream too.
  const view: View = { kind: 'field', path: [part], absentIsEmpty: true }
  return { surface, target, expected: 'text', address, within: { record, view } }
}

/** `/lite/8.8.8.8`, `/lookup/me/geo/city`: a product's record of an address, or something in it. */
function parseProduct(product: string, subject: string | undefined, path: readonly string[]): Parsed {
  const about = (address: string): Query => {
    const record: Query = { surface: 'api', target: `/${product}/${address}`, expected: 'json', address }
    if (path.length === 0) return record
    const view: View = { kind: 'field', path, absentIsEmpty: false }
    const target = record.target + pathOf(path)
    return { surface: 'api', target, expected: 'text', address, within: { record, view } }
  }
  if (subject === undefined || subject === 'me') return { kind: 'own', about }
  const address = canonicalAddress(subject)
  if (address === undefined) throw new ProxyError('wrong_product_ip')
  return asked(about(address))
}

function registryQuery(registry: 'domains' | 'places', subject: string, parameters: URLSearchParams): Query {
  const address = canonicalAddress(subject)
  if (address === undefined) throw new ProxyError('wrong_ip')
  const target = `/${registry}/${address}${keptParameters(registry, parameters)}`
  return { surface: registry === 'places' ? 'api' : 'legacy', target, expected: 'json', address }
}

/**
 * The path and the parameters of a POST to a tool, as upstream takes them: `cli=1` decides whether it answers with JSON.
 * @throws ProxyError `bad_request` as `parseTarget`, and for a path whose escapes hide what it is
 */
export function toolTarget(target: string): string {
  // Swift's SDK writes an ampersand in the place of the query mark.
  const [, path = '', search = ''] = /^([^?&]*)[?&]?(.*)$/.exec(target) ?? []
  const cli = new URLSearchParams(search).get('cli')
  return pathOf(segmentsOf(path)) + (cli === null ? '' : `?cli=${encodeURIComponent(cli)}`)
}

/** Only digits, dots and colons of any script, brackets, hex: an address was meant. */
function looksLikeAddress(segment: string): boolean {
  return /[.:。．[\]%]/.test(segment) || /^\p{Nd}+$/u.test(segment) || /^0x[\da-f]+$/i.test(segment)
}

function splitTarget(target: string): { path: string; parameters: URLSearchParams } {
  const mark = target.indexOf('?')
  // Swift's SDK asks for `/batch&filter=1`; elsewhere an ampersand in the path stays what it is.
  const path = mark < 0 ? target : target.slice(0, mark)
  return { path, parameters: new URLSearchParams(mark < 0 ? '' : target.slice(mark + 1)) }
}

/**
 * The decoded segments of a path; empty ones are left out.
 * @throws ProxyError `bad_request` for malformed escapes, hidden separators, control characters and dot segments
 */
function segmentsOf(path: string): string[] {
  return path.split('/').filter(Boolean).map(decodeSegment)
}

/** Also with parameters, which servers of the Java world cut off (`..;a`), and escaped once more. */
const dotSegment = /^(\.|%2e){1,2}(;|$)/i

function decodeSegment(segment: string): string {
  let decoded: string
  try {
    decoded = decodeURIComponent(segment)
  } catch (cause) {
    // The zone of `fe80::1%eth0` is not meant as an escape.
    throw new ProxyError(/^[\da-f.]*:[\da-f:.]*%/i.test(segment) ? 'wrong_ip' : 'bad_request', { cause })
  }
  // oxlint-disable-next-line no-control-regex -- control characters are what is refused
  if (/[\u0000-\u001f\u007f/\\]/.test(decoded) || dotSegment.test(decoded) || !decoded.isWellFormed())
    throw new ProxyError('bad_request')
  return decoded
}

/** The parameters that upstream knows there, in one order; of repeated ones the first. */
function keptParameters(first: string, parameters: URLSearchParams): string {
  const kept = new URLSearchParams()
  for (const name of parametersOf.get(first) ?? []) {
    const value = parameters.get(name)
    if (value !== null) kept.set(name, value)
  }
  return kept.size === 0 ? '' : `?${kept.toString()}`
}

/** The one spelling of a path. A colon needs no escape (RFC 3986 §3.3), and upstream shows addresses without one. */
function pathOf(segments: readonly string[]): string {
  return segments.map((segment) => `/${encodeURIComponent(segment).replaceAll('%3A', ':')}`).join('')
}
