/** Addresses as numbers, from the first to the last. */
export interface AddressRange {
  readonly first: bigint
  readonly last: bigint
  readonly isIpv6: boolean
}

/** The fewest networks that together are the range: `9.0.0.0/24`. */
export function networksIn({ first, last, isIpv6 }: AddressRange): string[] {
  const bits = isIpv6 ? 128 : 32
  const networks: string[] = []
  for (let at = first; at <= last;) {
    let size = 0
    while (size < bits && fits(at, size + 1, last)) size += 1
    networks.push(`${isIpv6 ? ipv6(at) : ipv4(at)}/${bits - size}`)
    at += 1n << BigInt(size)
  }
  return networks
}

/** Whether a network of 2^size addresses begins there, and ends before or at the last. */
function fits(at: bigint, size: number, last: bigint): boolean {
  const count = 1n << BigInt(size)
  return at % count === 0n && at + count - 1n <= last
}

/** What is in the ranges and in none of the others. Both are in order, and do not overlap among themselves. */
export function differenceOf<Range extends AddressRange>(
  ranges: readonly Range[],
  others: readonly AddressRange[],
): Range[] {
  const left: Range[] = []
  let next = 0
  for (const range of ranges) {
    let { first } = range
    while (next < others.length && (others[next]?.last ?? 0n) < first) next += 1
    for (let at = next; at < others.length; at += 1) {
      const other = others[at]
      if (other === undefined || other.first > range.last) break
      if (other.first > first) left.push({ ...range, first, last: other.first - 1n })
      first = other.last + 1n
    }
    if (first <= range.last) left.push({ ...range, first })
  }
  return left
}

const ipv4 = (address: bigint): string => [24n, 16n, 8n, 0n].map((shift) => (address >> shift) & 255n).join('.')

const ipv6 = (address: bigint): string => (address.toString(16).padStart(32, '0').match(/.{4}/g) ?? []).join(':')
