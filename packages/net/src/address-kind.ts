import { isIPv4 } from 'node:net'
import { canonicalAddress, dotted } from './canonical-address.ts'
import { type Address, blockOf, type Cidr, isInCidr, parseAddress } from './cidr.ts'

/** What an address is for; a client may be connected to `public` ones only. */
export type AddressKind =
  | 'public'
  | 'unspecified'
  | 'loopback'
  | 'private'
  | 'shared'
  | 'link-local'
  | 'site-local'
  | 'metadata'
  | 'protocol'
  | 'documentation'
  | 'benchmarking'
  | 'multicast'
  | 'broadcast'
  | 'discard'
  | 'local-nat64'
  | 'ipv4-compatible'
  | 'reserved'

/** Of the IANA registry of special-purpose IPv4 addresses (RFC 6890), and what clouds put elsewhere. First match counts. */
const ipv4Kinds = table([
  ['0.0.0.0/8', 'unspecified'],
  ['10.0.0.0/8', 'private'],
  ['100.64.0.0/10', 'shared'],
  ['127.0.0.0/8', 'loopback'],
  // Among others 169.254.169.254, where clouds tell machines their credentials.
  ['169.254.0.0/16', 'link-local'],
  // Azure's, which is outside every special block.
  ['168.63.129.16/32', 'metadata'],
  ['172.16.0.0/12', 'private'],
  ['192.0.0.0/24', 'protocol'],
  ['192.0.2.0/24', 'documentation'],
  // RFC 7526: relays of 6to4, withdrawn.
  ['192.88.99.0/24', 'reserved'],
  ['192.168.0.0/16', 'private'],
  ['198.18.0.0/15', 'benchmarking'],
  ['198.51.100.0/24', 'documentation'],
  ['203.0.113.0/24', 'documentation'],
  ['224.0.0.0/4', 'multicast'],
  ['255.255.255.255/32', 'broadcast'],
  ['240.0.0.0/4', 'reserved'],
])

/** The same for IPv6. What carries an IPv4 address that is to be judged is here as `public`. */
const ipv6Kinds = table([
  ['::/128', 'unspecified'],
  ['::1/128', 'loopback'],
  ['::/96', 'ipv4-compatible'],
  ['64:ff9b::/96', 'public'],
  // RFC 8215: for translators inside a network, which clients have no reason to reach.
  ['64:ff9b:1::/48', 'local-nat64'],
  ['100::/64', 'discard'],
  ['2001::/32', 'public'],
  ['2001:2::/48', 'benchmarking'],
  ['2001::/23', 'protocol'],
  ['2001:db8::/32', 'documentation'],
  ['3fff::/20', 'documentation'],
  ['fc00::/7', 'private'],
  ['fe80::/10', 'link-local'],
  ['fec0::/10', 'site-local'],
  ['ff00::/8', 'multicast'],
  // RFC 4291 §2.4: all global unicast addresses lie here; the rest is unassigned.
  ['2000::/3', 'public'],
])

/**
 * What an address is. One that carries an IPv4 address (NAT64, 6to4, Teredo, ISATAP) is public only if both are. What is
 * no address, or has a zone, is `reserved`: what cannot be read must not be connected to.
 */
export function addressKind(text: string): AddressKind {
  const address = canonicalAddress(text)
  if (address === undefined) return 'reserved'
  const parsed = parseAddress(address)
  if (isIPv4(address)) return kindIn(ipv4Kinds, parsed) ?? 'public'
  const kind = kindIn(ipv6Kinds, parsed) ?? 'reserved'
  if (kind !== 'public') return kind
  return (
    carriedAddresses(address)
      .map(addressKind)
      .find((one) => one !== 'public') ?? 'public'
  )
}

const [nat64, sixToFour, teredo] = ['64:ff9b::/96', '2002::/16', '2001::/32'].map(blockOf) as [Cidr, Cidr, Cidr]

/**
 * The IPv4 addresses inside an address in canonical spelling, to which what is sent to it is or may be passed on:
 * NAT64 (RFC 6052), 6to4 (RFC 3056), Teredo (RFC 4380: server and client) and ISATAP (RFC 5214). None for IPv4.
 */
export function carriedAddresses(address: string): readonly string[] {
  if (isIPv4(address)) return []
  const ipv6 = parseAddress(address)
  const bytes = ipv6.toByteArray()
  const part = (index: number): number => ((bytes[2 * index] ?? 0) << 8) | (bytes[2 * index + 1] ?? 0)
  // The universal and the group bit may be set (RFC 5214 §6.1).
  const isIsatap = (part(4) & ~0x03_00) === 0 && part(5) === 0x5e_fe
  return [
    ...(isInCidr(nat64, ipv6) || isIsatap ? [dotted(part(6), part(7))] : []),
    ...(isInCidr(sixToFour, ipv6) ? [dotted(part(1), part(2))] : []),
    // The client's is there with every bit turned.
    ...(isInCidr(teredo, ipv6) ? [dotted(part(2), part(3)), dotted(part(6) ^ 0xff_ff, part(7) ^ 0xff_ff)] : []),
  ]
}

type Table = readonly { readonly block: Cidr; readonly kind: AddressKind }[]

function table(rows: readonly (readonly [block: string, kind: AddressKind])[]): Table {
  return rows.map(([text, kind]) => ({ block: blockOf(text), kind }))
}

function kindIn(rows: Table, address: Address): AddressKind | undefined {
  return rows.find(({ block }) => isInCidr(block, address))?.kind
}
