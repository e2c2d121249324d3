import { parseCidr } from '@ipfleet/http/client-address.ts'
import { cidrBlocks } from '@ipfleet/settings/cidr-blocks.ts'
import { addressKind } from '../target/address-kind.ts'

export const poolEntryInWords = 'an address of this machine, or a prefix of which all are (2001:db8::/64)'

/**
 * An entry of the pool in canonical spelling: an address, or a prefix. Undefined for what nothing can leave from (`::`,
 * multicast), and for a prefix with bits behind it: `192.0.2.5/24`, as it stands in the system's own configuration, is
 * one address there and would be 256 here.
 */
export function readPoolEntry(text: string): readonly string[] | undefined {
  const blocks = cidrBlocks(text)
  const [block = '', ...words] = blocks ?? []
  const cidr = words.length === 0 ? parseCidr(block) : undefined
  if (cidr === undefined) return undefined
  const { network, bits } = cidr
  const address = network.toString()
  const kind = addressKind(address)
  if (kind === 'unspecified' || kind === 'multicast' || kind === 'broadcast') return undefined
  if (bits === network.toByteArray().length * 8) return [address]
  return hasBitsBehind(network.toByteArray(), bits) ? undefined : [`${address}/${bits}`]
}

function hasBitsBehind(bytes: readonly number[], bits: number): boolean {
  return bytes.some((byte, index) => (byte & (0xff >> Math.min(8, Math.max(0, bits - index * 8)))) !== 0)
}
