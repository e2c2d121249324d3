import { isIPv4 } from 'node:net'
import { dotted } from '@ipfleet/net/canonical-address.ts'
import { addressOfBytes, type Cidr, parseCidr } from '@ipfleet/net/cidr.ts'
import { isParentItem, type ParentProxy, readParent } from './parent-proxy.ts'
import { quoted } from '@ipfleet/settings/setting.ts'

interface AnyEntry {
  /** Unique in the pool, and the same on every replica: the address, or the prefix. */
  readonly id: string
  readonly family: 4 | 6
  /** What IP_POOL lists it as, in canonical spelling: an address of a listed prefix has that of the prefix. */
  readonly listedAs: string
}

/** One turn in the rotation. */
export type PoolEntry =
  | (AnyEntry & { readonly kind: 'address' })
  /** One turn for all of its addresses, which are too many to take turns. */
  | (AnyEntry & { readonly kind: 'prefix'; readonly network: readonly number[]; readonly bits: number })
  /** Binds nothing: the system chooses the address. */
  | (AnyEntry & { readonly kind: 'system' })
  | (Omit<AnyEntry, 'family'> & { readonly kind: 'parent'; readonly family: undefined; readonly parent: ParentProxy })

export type IpPool =
  | { readonly kind: 'entries'; readonly entries: readonly PoolEntry[] }
  /** A sentence for each item that is not valid. */
  | { readonly kind: 'faults'; readonly faults: readonly string[] }

/** The largest IPv4 prefix whose addresses take turns one by one. */
const maxListedAddresses = 1024
const maxEntries = 4096
/** A shorter prefix is a typing error: no network is that large. */
const minBits = { 4: 8, 6: 16 }

/** Without IP_POOL, connections leave as the system would have them leave. */
const systemEntries: readonly PoolEntry[] = [
  { kind: 'system', id: 'system-ipv4', listedAs: 'system', family: 4 },
  { kind: 'system', id: 'system-ipv6', listedAs: 'system', family: 6 },
]

/**
 * Reads the items of IP_POOL: addresses, prefixes and URLs of parents. IPv4-mapped ones are taken as IPv4. An IPv4
 * prefix of up to 1024 addresses becomes an entry for each, without network and broadcast address (RFC 3021: a /31 has
 * neither); larger ones and those of IPv6 are one entry each. An address that is listed twice counts once, in its first
 * item.
 */
export function readIpPool(items: readonly string[]): IpPool {
  if (items.length === 0) return { kind: 'entries', entries: systemEntries }
  const faults: string[] = []
  const entries = new Map<string, PoolEntry>()
  for (const [index, item] of items.entries()) {
    if (isParentItem(item)) {
      const fault = addParent(item, entries)
      // A URL may hold a password.
      if (fault !== undefined) faults.push(`item ${index + 1} ${fault}`)
      continue
    }
    const cidr = parseCidr(item)
    const fault = cidr === undefined ? 'is neither an address nor a prefix' : faultOf(cidr)
    if (cidr === undefined || fault !== undefined) faults.push(`${quoted(item)} ${fault}`)
    else for (const entry of entriesOf(cidr)) if (!entries.has(entry.id)) entries.set(entry.id, entry)
  }
  if (entries.size > maxEntries) faults.push(`these are more than ${maxEntries} addresses to take turns`)
  return faults.length > 0 ? { kind: 'faults', faults } : { kind: 'entries', entries: [...entries.values()] }
}

/** What connections leave from, an address of each prefix; undefined if the system or a parent chooses. */
export function poolAddresses(entries: readonly PoolEntry[]): readonly string[] | undefined {
  const addresses = entries.map((entry) => {
    if (entry.kind === 'prefix') return addressOfBytes(entry.network)
    return entry.kind === 'address' ? entry.id : undefined
  })
  return addresses.every((address) => address !== undefined) ? addresses : undefined
}

/** @returns what is wrong with it */
function addParent(item: string, entries: Map<string, PoolEntry>): string | undefined {
  const read = readParent(item)
  if (read.kind === 'fault') return read.fault
  const { parent } = read
  const { label: id } = parent
  if (entries.has(id)) return `has the label of another item, ${id}: give it one of its own, #label`
  entries.set(id, { kind: 'parent', id, listedAs: id, family: undefined, parent })
  return undefined
}

function faultOf({ network, bits }: Cidr): string | undefined {
  const family = familyOf(network)
  const width = family === 4 ? 32 : 128
  const range = network.range()
  if (bits < width) {
    const first = addressOfBytes(network.toByteArray().map((byte, index) => byte & networkMask(bits, index)))
    // `172.105.123.45/24` is how interfaces are configured: it may mean the one address.
    if (first !== network.toString()) return `means ${first}/${bits}, or the address ${network.toString()} alone`
    if (bits < minBits[family]) return `is too large: at least /${minBits[family]}`
  }
  if (range === 'unspecified' || range === 'multicast' || range === 'broadcast') return `is ${range}, no source address`
  if (family === 6 && range === 'linkLocal') return 'is link-local, which means nothing without an interface'
  return undefined
}

function entriesOf({ network, bits }: Cidr): readonly PoolEntry[] {
  const family = familyOf(network)
  const address = network.toString()
  if (bits === (family === 4 ? 32 : 128)) return [{ kind: 'address', id: address, listedAs: address, family }]
  const listedAs = `${address}/${bits}`
  const bytes = network.toByteArray()
  if (family === 4 && 2 ** (32 - bits) <= maxListedAddresses) {
    return hostsOf(bytes, bits).map((id) => ({ kind: 'address', id, listedAs, family }))
  }
  return [{ kind: 'prefix', id: listedAs, listedAs, family, network: bytes, bits }]
}

function hostsOf(network: readonly number[], bits: number): readonly string[] {
  const first = network.reduce((number, byte) => number * 256 + byte, 0)
  const addresses = Array.from({ length: 2 ** (32 - bits) }, (_, index) =>
    dotted((first + index) >>> 16, (first + index) & 0xffff),
  )
  return bits === 31 ? addresses : addresses.slice(1, -1)
}

function familyOf(address: Cidr['network']): 4 | 6 {
  return isIPv4(address.toString()) ? 4 : 6
}

/** The bits of one byte of an address that belong to the prefix. */
function networkMask(bits: number, index: number): number {
  return 0xff & (0xff00 >> Math.min(8, Math.max(0, bits - index * 8)))
}

/**
 * The address of a prefix whose host part is that of `entropy` (16 bytes; of IPv4 the first four count). Never that of
 * all zeros, which is the network of IPv4 and any router of an IPv6 subnet (RFC 4291 §2.6.1), nor the broadcast
 * address of IPv4. A /127 has neither (RFC 6164 §5).
 */
export function prefixAddress(
  { network, bits, family }: Extract<PoolEntry, { kind: 'prefix' }>,
  entropy: Uint8Array,
): string {
  const bytes = network.map((byte, index) => byte | ((entropy[index] ?? 0) & ~networkMask(bits, index)))
  const last = bytes.length - 1
  const isAll = (ones: 0 | 0xff): boolean =>
    bytes.every((byte, index) => ((byte ^ ones) & ~networkMask(bits, index) & 0xff) === 0)
  if (bits < 127) {
    if (isAll(0)) bytes[last] = bytes[last]! | 1
    else if (family === 4 && isAll(0xff)) bytes[last] = bytes[last]! & 0xfe
  }
  return addressOfBytes(bytes)
}
