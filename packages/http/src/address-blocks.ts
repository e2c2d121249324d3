import { BlockList, isIP } from 'node:net'
import { parseCidr } from './client-address.ts'

/**
 * Makes the test whether an address lies in one of some blocks (`10.0.0.0/8`, as the settings hold them). The address
 * is one in canonical spelling, IPv4-mapped ones as IPv4; what is no address lies in none.
 * @throws RangeError for what is no block
 */
export function addressBlocks(blocks: readonly string[]): (address: string) => boolean {
  if (blocks.length === 0) return () => false
  // One for each family: Node 26 takes IPv4 for mapped addresses, and so for a part of `::/0`.
  const lists = { ipv4: new BlockList(), ipv6: new BlockList() }
  for (const text of blocks) {
    const block = parseCidr(text)
    if (block === undefined) throw new RangeError(`Not a block of addresses: ${text}`)
    const family = block.network.kind()
    lists[family].addSubnet(block.network.toString(), block.bits, family)
  }
  return (address) => {
    const family = familyOf(address)
    return family !== undefined && lists[family].check(address, family)
  }
}

function familyOf(address: string): 'ipv4' | 'ipv6' | undefined {
  const family = isIP(address)
  return family === 0 || address.includes('%') ? undefined : family === 4 ? 'ipv4' : 'ipv6'
}
