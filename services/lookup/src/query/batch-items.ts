import { isUtf8 } from 'node:buffer'
import { isIPv4 } from 'node:net'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { parseTarget, type Query } from './query.ts'

/** What an item of a batch asks: a path without its leading slash, or something that needs no look-up. */
export type BatchItem =
  | { readonly kind: 'query'; readonly query: Query }
  | { readonly kind: 'error'; readonly error: ProxyError }

/** Which batch was asked for, by its path. */
export interface BatchForm {
  /** What an item is of that does not say so itself: `lite/` for `/batch/lite`. */
  readonly prefix: string
  /** `?filter=1`: empty results are left out. */
  readonly dropsEmpty: boolean
}

/** No address and no field is longer, and a URL could not be. */
const maxItemLength = 2048

/** api.ipinfo.io, which is also reached by address family. */
const apiHost = /^(v[46]\.)?api\.ipinfo\.io\.?(:\d+)?$/i

/**
 * The form of `/batch`, `/batch/lite` or `/batch/legacy`; Swift's SDK asks for `/batch&filter=1`. On api.ipinfo.io a
 * plain `/batch` is one of `/lookup`.
 * @param host the Host field
 * @throws ProxyError `not_found` for what is no batch path
 */
export function batchForm(target: string, host = ''): BatchForm {
  const [, path, search = ''] = /^([^?&]*)(?:[?&](.*))?$/.exec(target) ?? []
  const [, kind] = /^\/batch(?:\/(lite|legacy))?\/?$/.exec(path ?? '') ?? [undefined, null]
  if (kind === null) throw new ProxyError('not_found')
  const dropsEmpty = new URLSearchParams(search).get('filter') === '1'
  if (kind === undefined && apiHost.test(host)) return { prefix: 'lookup/', dropsEmpty }
  return { prefix: kind === 'lite' ? 'lite/' : '', dropsEmpty }
}

const maxItems = 1000

/**
 * The items of a batch: a JSON array of strings, or a list with one on each line, whatever the Content-Type says
 * (SDKs send either with any).
 * @throws ProxyError `bad_request`, `payload_too_large` for more than 1000
 */
export function batchItems(body: Buffer): string[] {
  if (!isUtf8(body)) throw new ProxyError('bad_request', { message: 'The batch is not valid UTF-8' })
  const text = body.toString('utf8').trim()
  // No line is or begins like JSON of any other kind, so that an object is told that it is no list.
  const items = /^(?:[[{"]|(?:null|true|false)$)/.test(text)
    ? jsonItems(text)
    : text
        .split(/\r?\n/)
        .map((line) => line.trim())
        .filter(Boolean)
  if (items.length === 0) throw new ProxyError('bad_request', { message: 'A batch is a JSON array or a list of lines' })
  if (items.length > maxItems) {
    throw new ProxyError('payload_too_large', { message: `A batch holds at most ${maxItems} items` })
  }
  return items
}

function jsonItems(text: string): string[] {
  let items: unknown
  try {
    items = JSON.parse(text)
  } catch (cause) {
    throw new ProxyError('bad_request', { message: 'The batch is not valid JSON', cause })
  }
  if (Array.isArray(items) && items.every((item) => typeof item === 'string')) return items
  throw new ProxyError('bad_request', { message: 'Every item of a batch is a string' })
}

/** @param ownAddress of the client, for items that are about the caller */
export function readItem(item: string, prefix: string, ownAddress: () => string): BatchItem {
  try {
    if (isIPv4(item)) return plainItem(item, prefix)
    if (item.length > maxItemLength) throw new ProxyError('uri_too_long')
    const parsed = parseTarget(`/${saysWhatItIsOf.test(item) ? '' : prefix}${item}`)
    // An account is no answer to an item: it would be the fleet's.
    if (parsed.kind === 'direct') throw new ProxyError('wrong_ip')
    return { kind: 'query', query: parsed.kind === 'own' ? parsed.about(ownAddress()) : parsed.query }
  } catch (error) {
    return { kind: 'error', error: ProxyError.from(error) }
  }
}

/** In any batch, `AS15169` and `lite/8.8.8.8` are what they say. */
const saysWhatItIsOf = /^\/*(?:as\d+(?:\/|$)|(?:lite|lookup|plus|max|resproxy|places|domains|ranges|whois)\/)/i

/** Most items by far: what `parseTarget` makes of an address, without taking it to pieces. */
function plainItem(address: string, prefix: string): BatchItem {
  const surface = prefix === '' ? 'legacy' : 'api'
  return { kind: 'query', query: { surface, target: `/${prefix}${address}`, expected: 'json', address } }
}
