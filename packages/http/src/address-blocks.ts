import { BlockList, isIP } from 'node:net'

/**
 * Makes the test whether an address lies in one of some blocks (`10.0.0.0/8`, as the settings hold them). The address
 * is one in canonical spelling, IPv4-mapped ones as IPv4; what is no address lies in none.
 */
export function addressBlocks(blocks: readonly string[]): (address: string) => boolean {
  if (blocks.length === 0) return () => false
  const list = new BlockList()
  for (const block of blocks) {
    const slash = block.indexOf('/')
    const network = slash < 0 ? block : block.slice(0, slash)
    const family = familyOf(network)
    if (family === undefined) throw new RangeError(`Not a block of addresses: ${block}`)
    list.addSubnet(network, slash < 0 ? (family === 'ipv4' ? 32 : 128) : Number(block.slice(slash + 1)), family)
  }
  return (address) => {
    const family = familyOf(address)
    return family !== undefined && list.check(address, family)
  }
}

function familyOf(address: string): 'ipv4' | 'ipv6' | undefined {
  const family = isIP(address)
  return family === 0 ? undefined : family === 4 ? 'ipv4' : 'ipv6'
}
