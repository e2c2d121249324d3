import { isIPv4 } from 'node:net'
import { stripVTControlCharacters } from 'node:util'
import { canonicalAddress, dotted } from '@ipfleet/net/canonical-address.ts'

/** More of one network or range are an error: a /16 of IPv4 has as many. */
export const maxExpanded = 65_536

export class NetworkTooLarge extends Error {}

/** `9.9.9.9.53 > 10.0.0.1.4242: UDP`, and a column of `netstat`. */
const dottedPort = String.raw`\.\d{1,5}(?: >| {2}|(?<=> [\d.]+):)`

/**
 * What stands around addresses, and may be a candidate. IPv6 first: it may end in an IPv4 address. HAProxy puts a port
 * behind an IPv6 address without brackets, which shows where it has five digits; tcpdump and the netstat of BSD put one
 * behind a dot. Versions that browsers tell reduced (`Chrome/120.0.0.0`) are none, nor are hardware addresses.
 */
const candidates = new RegExp(
  [
    String.raw`(?<![\w:.])(?!(?:[\da-f]{2}:){7}[\da-f]{2}(?!\w))[\da-f]{0,4}(?::[\da-f]{0,4}){2,7}(?:(?:\.\d{1,3}){3})?(?=:\d{5}(?!\w)|(?!\w|:[\da-f]))`,
    String.raw`(?<![\w.])(?!(?<=\w\/)\d+\.0\.0\.0)\d{1,3}(?:\.\d{1,3}){3}(?=${dottedPort}|(?!\.?\w))`,
  ].join('|'),
  'gi',
)

/** Every address in a text (a line of a log, `X-Forwarded-For`), in its canonical spelling and in its order. */
export function addressesIn(text: string): string[] {
  // A colour for a terminal ends in a letter, which would seem to belong to what is behind it.
  const plain = text.includes('\u001b') ? stripVTControlCharacters(text) : text
  return [...refanged(plain).matchAll(candidates)].flatMap(([found]) => {
    const port = /^(.*\.\d+):\d+$/.exec(found)?.[1]
    return canonicalAddress(port ?? found.replace(/(?<!:):$/, '')) ?? []
  })
}

/**
 * The address that a cell or line is, though something stands around it: quotes, a port, brackets, a zone, a URL, a note
 * behind `#` or `;`, or dots in brackets (`8[.]8[.]8[.]8`); also in full-width characters. Undefined for other text.
 */
export function loneAddress(text: string): string | undefined {
  const plain = withoutNote(text)
  const canonical = canonicalAddress(plain)
  if (canonical !== undefined) return canonical
  const bare = refanged(plain.normalize('NFKC'))
    .replaceAll('。', '.')
    .replace(/^[a-z][\w+.-]*:\/\/(?:[^@/]*@)?([^/?#]+)(?:[/?#].*)?$/i, '$1')
    .replace(/^\[([^\]]*)\](?::\d{1,5})?$/, '$1')
    .replace(/^(\d+\.\d+\.\d+\.\d+):\d{1,5}$/, '$1')
    .replace(/%[\w.-]+$/, '')
  return canonicalAddress(bare)
}

/** Of a network (`9.0.0.0/30`) or a range (`9.0.0.1-9.0.0.4`); undefined for other text. @throws NetworkTooLarge */
export function addressesOfNetwork(text: string): string[] | undefined {
  const range = rangeOf(text)
  if (range === undefined) return undefined
  const count = range.last - range.first + 1n
  if (count > BigInt(maxExpanded)) {
    throw new NetworkTooLarge(`${text.trim()} has ${count} addresses; more than ${maxExpanded} are not expanded`)
  }
  return Array.from({ length: Number(count) }, (_, at) => addressOf(range.first + BigInt(at), range.isIpv4))
}

/** The first address of a network or range; undefined for other text. */
export function firstOfNetwork(text: string): string | undefined {
  const range = rangeOf(text)
  return range && addressOf(range.first, range.isIpv4)
}

/** Addresses as numbers, both included. */
export interface AddressRange {
  readonly first: bigint
  readonly last: bigint
  readonly isIpv4: boolean
}

/** The fewest networks that together are the range: `9.0.0.0/24`. */
export function networksIn({ first, last, isIpv4 }: AddressRange): string[] {
  const width = isIpv4 ? 32 : 128
  const networks: string[] = []
  for (let at = first; at <= last;) {
    let bits = width
    while (
      bits > 0 &&
      at % (1n << BigInt(width - bits + 1)) === 0n &&
      at + (1n << BigInt(width - bits + 1)) - 1n <= last
    ) {
      bits -= 1
    }
    networks.push(`${addressOf(at, isIpv4)}/${bits}`)
    at += 1n << BigInt(width - bits)
  }
  return networks
}

/** Of its first and its last address: `9.0.0.0-9.0.0.255`. */
export function rangeText({ first, last, isIpv4 }: AddressRange): string {
  return `${addressOf(first, isIpv4)}-${addressOf(last, isIpv4)}`
}

/** Of a network (`9.0.0.0/30`, `9.0.0.0/255.255.255.252`) or range (`9.0.0.1-9.0.0.4`, `9.0.0.1-4`); undefined for other text. */
export function rangeOf(given: string): AddressRange | undefined {
  const text = withoutNote(given)
  const [start = '', bits, end] =
    /^([^/\s-]+)(?:\/([\d.]{1,15})|\s*[-–]\s*([^/\s-]+))$/.exec(refanged(text))?.slice(1) ?? []
  const first = canonicalAddress(start)
  if (first === undefined) return undefined
  const isIpv4 = isIPv4(first)
  const width = isIpv4 ? 32 : 128
  if (bits !== undefined) {
    const size = networkSize(bits, width)
    if (size === undefined) return undefined
    const base = (numberOf(first) / size) * size
    return { first: base, last: base + size - 1n, isIpv4 }
  }
  const last = canonicalAddress(/^\d{1,3}$/.test(end ?? '') ? first.replace(/\d+$/, end ?? '') : (end ?? ''))
  if (last === undefined || isIPv4(last) !== isIpv4 || numberOf(last) < numberOf(first)) return undefined
  return { first: numberOf(first), last: numberOf(last), isIpv4 }
}

/** @param bits of the prefix, or a mask of IPv4 */
function networkSize(bits: string, width: number): bigint | undefined {
  if (/^\d{1,3}$/.test(bits)) return Number(bits) > width ? undefined : 1n << BigInt(width - Number(bits))
  if (width !== 32 || !isIPv4(bits)) return undefined
  const size = 2n ** 32n - numberOf(bits)
  return (size & (size - 1n)) === 0n ? size : undefined
}

export const ipv4Number = (address: string): number =>
  address.split('.').reduce((number, octet) => number * 256 + Number(octet), 0)

function numberOf(address: string): bigint {
  if (isIPv4(address)) return BigInt(ipv4Number(address))
  const [head = [], tail = []] = address.split('::').map((half) => half.split(':').filter(Boolean))
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => '0')
  return [...head, ...zeros, ...tail].reduce((number, group) => number * 65_536n + BigInt(`0x${group}`), 0n)
}

function addressOf(number: bigint, isIpv4: boolean): string {
  if (isIpv4) return dotted(Number(number >> 16n), Number(number & 0xffffn))
  const groups = number.toString(16).padStart(32, '0').match(/.{4}/g) ?? []
  return canonicalAddress(groups.join(':')) ?? ''
}

const withoutNote = (text: string): string =>
  text
    // Copied from pages: characters that have no width.
    .replaceAll(/[\u00ad\u200b-\u200f\u2060\ufeff]/g, '')
    .replace(/\s[#;].*$/, '')
    .trim()
    .replace(/,$/, '')
    // A formula of a text, as spreadsheets keep cells that they would change.
    .replace(/^=(?=")/, '')
    .replace(/^(["'`])(.*)\1$/, '$2')
    .trim()

/** As analysts write addresses, so that nothing makes links of them. */
const refanged = (text: string): string =>
  text.replaceAll(/ ?[[({](\.|::?|dot)[\])}] ?/gi, (_, sign: string) => (sign.startsWith(':') ? sign : '.'))
