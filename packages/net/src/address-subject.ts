import { parseAddress } from './cidr.ts'

/**
 * Whose requests count together, of a client known by its address only: an IPv6 client has at least a /64 to itself
 * (RFC 6177), so its addresses are one. The address is one in canonical spelling; all that are not known ('') count as one.
 */
export function addressSubject(address: string): string {
  if (address === '') return 'unknown'
  if (!address.includes(':')) return address
  const bytes = parseAddress(address).toByteArray()
  const parts = [0, 2, 4, 6].map((at) => (((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)).toString(16))
  return `${parts.join(':')}::/64`
}
