import type { TargetAddress } from './target.ts'

/**
 * The same addresses with the families taking turns, so that one family that leads nowhere costs one attempt and not all
 * (RFC 8305 §4). The family of the first address, which the resolver thinks best (RFC 6724), begins.
 */
export function interleaved(addresses: readonly TargetAddress[]): readonly TargetAddress[] {
  if (addresses.length === 1) return addresses
  const first = addresses.filter(({ family }) => family === addresses[0]?.family)
  const second = addresses.filter(({ family }) => family !== addresses[0]?.family)
  return Array.from({ length: Math.max(first.length, second.length) }, (_, index) => [first[index], second[index]])
    .flat()
    .filter((one) => one !== undefined)
}
