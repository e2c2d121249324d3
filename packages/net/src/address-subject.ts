import ipaddr from 'ipaddr.js'

/**
 * Whose requests count together, of a client known by its address only: an IPv6 client has at least a /64 to itself
 * (RFC 6177), so its addresses are one. The address is one in canonical spelling; all that are not known ('') count as one.
 */
export function addressSubject(address: string): string {
  if (address === '') return 'unknown'
  if (!address.includes(':')) return address
  const parts = ipaddr.IPv6.parse(address).parts.slice(0, 4)
  return `${parts.map((part) => part.toString(16)).join(':')}::/64`
}
