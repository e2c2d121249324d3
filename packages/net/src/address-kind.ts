import { isIPv4 } from 'node:net'
import ipaddr from 'ipaddr.js'
import { canonicalAddress, dotted } from './canonical-address.ts'

/** What an address is for; `public` is all that strangers may be connected to. */
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

const readIpv4 = (block: string) => ipaddr.IPv4.parseCIDR(block)
const readIpv6 = (block: string) => ipaddr.IPv6.parseCIDR(block)

/** Of the IANA registry of special-purpose IPv4 addresses (RFC 6890), and what clouds put elsewhere. First match counts. */
const ipv4Kinds = table(readIpv4, [
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
const ipv6Kinds = table(readIpv6, [
  ['::/128', 'unspecified'],
  ['::1/128', 'loopback'],
  ['::/96', 'ipv4-compatible'],
  ['64:ff9b::/96', 'public'],
  // RFC 8215: for translators inside a network, which no stranger has a reason to reach.
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
  // RFC 4291 §2.4: all that is given out lies here; the rest is nobody's yet.
  ['2000::/3', 'public'],
])

/**
 * What an address is. One that carries an IPv4 address (NAT64, 6to4, Teredo, ISATAP) is public only if both are. What is
 * no address, or one with a zone, is `reserved`: whoever cannot read it must not connect to it.
 */
export function addressKind(text: string): AddressKind {
  const address = canonicalAddress(text)
  if (address === undefined) return 'reserved'
  if (isIPv4(address)) return kindIn(ipv4Kinds, ipaddr.IPv4.parse(address)) ?? 'public'
  const kind = kindIn(ipv6Kinds, ipaddr.IPv6.parse(address)) ?? 'reserved'
  if (kind !== 'public') return kind
  return (
    carriedAddresses(address)
      .map(addressKind)
      .find((one) => one !== 'public') ?? 'public'
  )
}

const nat64 = readIpv6('64:ff9b::/96')
const sixToFour = readIpv6('2002::/16')
const teredo = readIpv6('2001::/32')

/**
 * The IPv4 addresses inside an address in canonical spelling, to which what is sent to it is or may be passed on:
 * NAT64 (RFC 6052), 6to4 (RFC 3056), Teredo (RFC 4380: server and client) and ISATAP (RFC 5214). None for IPv4.
 */
export function carriedAddresses(address: string): readonly string[] {
  if (isIPv4(address)) return []
  const ipv6 = ipaddr.IPv6.parse(address)
  const [, second = 0, third = 0, fourth = 0, fifth = 0, sixth = 0, high = 0, low = 0] = ipv6.parts
  // The universal and the group bit may be set (RFC 5214 §6.1).
  const isIsatap = (fifth & ~0x03_00) === 0 && sixth === 0x5e_fe
  return [
    ...(ipv6.match(nat64) || isIsatap ? [dotted(high, low)] : []),
    ...(ipv6.match(sixToFour) ? [dotted(second, third)] : []),
    // The client's is there with every bit turned.
    ...(ipv6.match(teredo) ? [dotted(third, fourth), dotted(high ^ 0xff_ff, low ^ 0xff_ff)] : []),
  ]
}

type Block<Address> = [address: Address, bits: number]
type Table<Address> = readonly { readonly block: Block<Address>; readonly kind: AddressKind }[]

function table<Address>(
  read: (block: string) => Block<Address>,
  rows: readonly (readonly [block: string, kind: AddressKind])[],
): Table<Address> {
  return rows.map(([text, kind]) => ({ block: read(text), kind }))
}

function kindIn<Address extends { match(block: Block<Address>): boolean }>(
  rows: Table<Address>,
  address: Address,
): AddressKind | undefined {
  return rows.find((row) => address.match(row.block))?.kind
}
