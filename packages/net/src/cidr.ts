import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import { canonicalAddress } from './canonical-address.ts'

export type Address = ipaddr.IPv4 | ipaddr.IPv6

/** A block of addresses, IPv4-mapped ones as IPv4. */
export interface Cidr {
  readonly network: Address
  readonly bits: number
}

/**
 * `10.0.0.0/8`, `fd00::/8` or a single address; `undefined` for anything else. Strict: ipaddr.js would also read
 * `0177.1`, `0x7f.1` and zone ids, so `net.isIP` is asked first.
 */
export function parseCidr(text: string): Cidr | undefined {
  const [address = '', prefix, ...rest] = text.split('/')
  const canonical = canonicalAddress(address)
  if (canonical === undefined || rest.length > 0) return undefined
  const network = ipaddr.parse(canonical)
  const width = isIP(address) === 4 ? 32 : 128
  if (prefix !== undefined && !/^(?:0|[1-9]\d{0,2})$/.test(prefix)) return undefined
  const given = prefix === undefined ? width : Number(prefix)
  // A mapped block is 96 bits longer than the IPv4 block that it stands for.
  const bits = width === 128 && network.kind() === 'ipv4' ? given - 96 : given
  return given <= width && bits >= 0 ? { network, bits } : undefined
}

/** The same. @throws RangeError for anything else */
export function blockOf(text: string): Cidr {
  const block = parseCidr(text)
  if (block === undefined) throw new RangeError(`Not a block of addresses: ${text}`)
  return block
}

export function isInCidr({ network, bits }: Cidr, address: Address): boolean {
  return network.kind() === address.kind() && address.match(network, bits)
}

export function parseAddress(canonical: string): Address {
  return ipaddr.parse(canonical)
}

/** The address of these 4 or 16 bytes, in canonical spelling. */
export function addressOfBytes(bytes: readonly number[]): string {
  return ipaddr.fromByteArray([...bytes]).toString()
}
