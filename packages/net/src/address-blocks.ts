import { BlockList, isIP } from 'node:net'
import { blockOf } from './cidr.ts'

/**
 * Makes the test whether an address lies in one of some blocks (`10.0.0.0/8`, as the settings hold them). The address
 * is one in canonical spelling, IPv4-mapped ones as IPv4; what is no address lies in none.
 * @throws RangeError for what is no block
 */
export function addressBlocks(blocks: readonly string[]): (address: string) => boolean {
  if (blocks.length === 0) return () => false
  const ipv4: Ipv4Block[] = []
  const ipv6 = new BlockList()
  for (const text of blocks) {
    const { network, bits } = blockOf(text)
    if (network.kind() === 'ipv4') ipv4.push(ipv4Block(network.toString(), bits))
    else ipv6.addSubnet(network.toString(), bits, 'ipv6')
  }
  return (address) => {
    const family = isIP(address)
    if (family === 4) return isInOne(ipv4, numberOf(address))
    return family === 6 && !address.includes('%') && ipv6.check(address, 'ipv6')
  }
}

/** Compared as numbers: a BlockList of Node 26 makes an object of each address that it is asked for, for 5 µs. */
interface Ipv4Block {
  readonly network: number
  readonly mask: number
}

function ipv4Block(network: string, bits: number): Ipv4Block {
  // Shifting by 32 shifts by nothing.
  const mask = bits === 0 ? 0 : -1 << (32 - bits)
  return { network: numberOf(network) & mask, mask }
}

function isInOne(blocks: readonly Ipv4Block[], address: number): boolean {
  for (const { network, mask } of blocks) if ((address & mask) === network) return true
  return false
}

/** Of an IPv4 address: its 32 bits. */
function numberOf(address: string): number {
  let bits = 0
  let part = 0
  for (let at = 0; at < address.length; at += 1) {
    const code = address.charCodeAt(at)
    if (code === DOT) {
      bits = (bits << 8) | part
      part = 0
    } else part = 10 * part + code - ZERO
  }
  return (bits << 8) | part
}

const DOT = 0x2e
const ZERO = 0x30
