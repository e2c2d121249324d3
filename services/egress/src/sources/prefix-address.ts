import { addressOfBytes } from '@ipfleet/net/cidr.ts'
import { networkMask, type Seat } from './ip-pool.ts'

/**
 * The address of a prefix whose host part is that of `entropy` (16 bytes; of IPv4 the first four count). Never that of
 * all zeros, which is the network of IPv4 and any router of an IPv6 subnet (RFC 4291 §2.6.1), nor the broadcast
 * address of IPv4. A /127 has neither (RFC 6164 §5).
 */
export function prefixAddress(
  { network, bits, family }: Extract<Seat, { kind: 'prefix' }>,
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
