import { BlockList, isIPv4, isIPv6, SocketAddress } from 'node:net'

/** An address in its canonical spelling (RFC 5952), the network that decides its place, and if it is reserved. */
export interface Address {
  readonly text: string
  /** The /24 or /48 around it: addresses of one network share city and operator. */
  readonly network: string
  readonly isBogon: boolean
}

/** The reserved IPv4 networks (RFC 6890 and its registry) as [base, prefix length in bits]. */
const bogons4: readonly (readonly [number, number])[] = (
  [
    ['0.0.0.0', 8],
    ['10.0.0.0', 8],
    ['100.64.0.0', 10],
    ['127.0.0.0', 8],
    ['169.254.0.0', 16],
    ['172.16.0.0', 12],
    ['192.0.0.0', 24],
    ['192.0.2.0', 24],
    ['192.168.0.0', 16],
    ['198.18.0.0', 15],
    ['198.51.100.0', 24],
    ['203.0.113.0', 24],
    ['224.0.0.0', 3],
  ] as const
).map(([base, bits]) => [numberOf(base), bits])

const bogons6 = new BlockList()
for (const [base, bits] of [
  // The unspecified address, the loopback one and the IPv4-compatible ones (RFC 4291, deprecated).
  ['::', 96],
  ['100::', 64],
  ['2001:10::', 28],
  ['2001:db8::', 32],
  ['3fff::', 20],
  ['fc00::', 7],
  ['fe80::', 10],
  ['ff00::', 8],
] as const) {
  bogons6.addSubnet(base, bits, 'ipv6')
}

/** Reads one address, strictly; undefined for anything else. An IPv4-mapped one is read as its IPv4 address. */
export function parseAddress(text: string): Address | undefined {
  if (isIPv4(text)) {
    return { text, network: `${text.slice(0, text.lastIndexOf('.'))}.0/24`, isBogon: isBogon4(numberOf(text)) }
  }
  // `net.isIPv6` takes zone ids (`fe80::1%eth0`); IPinfo does not.
  if (!isIPv6(text) || text.includes('%')) return undefined
  const canonical = withoutDots(new SocketAddress({ address: text, family: 'ipv6' }).address)
  if (canonical.startsWith('::ffff:') && canonical.includes('.')) return parseAddress(canonical.slice('::ffff:'.length))
  return { text: canonical, network: network48(canonical), isBogon: bogons6.check(canonical, 'ipv6') }
}

/** inet_ntop writes the IPv4-compatible addresses with dots, RFC 5952 the mapped ones alone. */
function withoutDots(address: string): string {
  const [, a = 0, b = 0, c = 0, d = 0] = (/^::(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address) ?? []).map(Number)
  const groups = [a * 256 + b, c * 256 + d].map((group) => group.toString(16))
  return /^::\d+\./.test(address) ? `::${groups.join(':')}` : address
}

function isBogon4(address: number): boolean {
  return bogons4.some(([base, bits]) => (address ^ base) >>> (32 - bits) === 0)
}

function numberOf(address: string): number {
  let number = 0
  for (const part of address.split('.')) number = number * 256 + Number(part)
  return number
}

/** The first three groups; `::` may hide zeros among them. */
function network48(canonical: string): string {
  const [head = ''] = canonical.split('::')
  const groups = head === '' ? [] : head.split(':')
  return `${[...groups, '0', '0', '0'].slice(0, 3).join(':')}::/48`
}
