import { isIPv4 } from 'node:net'
import { addressOfBytes, type Cidr, parseCidr } from '@ipfleet/net/cidr.ts'
import { quoted } from '@ipfleet/settings/setting.ts'

interface AnySeat {
  /** Of the whole pool, the same on every replica: the address, or the prefix. */
  readonly id: string
  readonly family: 4 | 6
  /** The entry of IP_POOL that it is of, in canonical spelling. */
  readonly entry: string
}

/** A place in the rotation. */
export type Seat =
  | (AnySeat & { readonly kind: 'address' })
  /** One turn for all of its addresses, which are too many to take turns. */
  | (AnySeat & { readonly kind: 'prefix'; readonly network: readonly number[]; readonly bits: number })
  /** Binds nothing: the system chooses the address. */
  | (AnySeat & { readonly kind: 'system' })

export type IpPool =
  | { readonly kind: 'seats'; readonly seats: readonly Seat[] }
  /** In words, one for each entry that is not valid. */
  | { readonly kind: 'faults'; readonly faults: readonly string[] }

/** Addresses of an IPv4 prefix that takes its turns address by address. */
const mostListed = 1024
const mostSeats = 4096
/** Shorter ones are typing errors: nobody holds so much of the Internet. */
const leastBits = { 4: 8, 6: 16 }

/** The pool of a machine on which nothing is said: connections leave as the system would have them leave. */
const systemSeats: readonly Seat[] = [
  { kind: 'system', id: 'system-ipv4', entry: 'system', family: 4 },
  { kind: 'system', id: 'system-ipv6', entry: 'system', family: 6 },
]

/**
 * Reads the entries of IP_POOL: addresses and prefixes. IPv4-mapped ones are taken as IPv4. An IPv4 prefix of up to
 * 1024 addresses becomes a seat for each, without network and broadcast address (RFC 3021: a /31 has neither); larger
 * ones and those of IPv6 are one seat each. What is there twice counts once, in its first entry.
 */
export function readIpPool(entries: readonly string[]): IpPool {
  if (entries.length === 0) return { kind: 'seats', seats: systemSeats }
  const faults: string[] = []
  const seats = new Map<string, Seat>()
  for (const item of entries) {
    const cidr = parseCidr(item)
    const fault = cidr === undefined ? 'is neither an address nor a prefix' : faultOf(cidr)
    if (cidr === undefined || fault !== undefined) faults.push(`${quoted(item)} ${fault}`)
    else for (const seat of seatsOf(cidr)) if (!seats.has(seat.id)) seats.set(seat.id, seat)
  }
  if (seats.size > mostSeats) faults.push(`these are more than ${mostSeats} addresses to take turns`)
  return faults.length > 0 ? { kind: 'faults', faults } : { kind: 'seats', seats: [...seats.values()] }
}

function faultOf({ network, bits }: Cidr): string | undefined {
  const family = familyOf(network)
  const width = family === 4 ? 32 : 128
  const range = network.range()
  if (bits < width) {
    const first = firstAddress(network.toByteArray(), bits)
    // `172.105.123.45/24` is how interfaces are configured: it may mean the one address.
    if (first !== network.toString()) return `means ${first}/${bits}, or the address ${network.toString()} alone`
    if (bits < leastBits[family]) return `is too large: at least /${leastBits[family]}`
  }
  if (range === 'unspecified' || range === 'multicast' || range === 'broadcast') return `is ${range}, no source address`
  if (family === 6 && range === 'linkLocal') return 'is link-local, which means nothing without an interface'
  return undefined
}

function seatsOf({ network, bits }: Cidr): readonly Seat[] {
  const family = familyOf(network)
  const address = network.toString()
  if (bits === (family === 4 ? 32 : 128)) return [{ kind: 'address', id: address, entry: address, family }]
  const entry = `${address}/${bits}`
  const bytes = network.toByteArray()
  if (family === 4 && 2 ** (32 - bits) <= mostListed) {
    return listed(bytes, bits).map((id) => ({ kind: 'address', id, entry, family }))
  }
  return [{ kind: 'prefix', id: entry, entry, family, network: bytes, bits }]
}

function listed(network: readonly number[], bits: number): readonly string[] {
  const first = network.reduce((number, byte) => number * 256 + byte, 0)
  const addresses = Array.from({ length: 2 ** (32 - bits) }, (_, index) => dotted(first + index))
  return bits === 31 ? addresses : addresses.slice(1, -1)
}

function dotted(number: number): string {
  return [number >>> 24, (number >>> 16) & 255, (number >>> 8) & 255, number & 255].join('.')
}

function firstAddress(bytes: readonly number[], bits: number): string {
  const masked = bytes.map((byte, index) => byte & networkMask(bits, index))
  return addressOfBytes(masked)
}

/** The bits of one byte of an address that are the prefix's own. */
export function networkMask(bits: number, index: number): number {
  return 0xff & (0xff00 >> Math.min(8, Math.max(0, bits - index * 8)))
}

function familyOf(address: Cidr['network']): 4 | 6 {
  return isIPv4(address.toString()) ? 4 : 6
}
