import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Wire } from './wire.ts'

/**
 * Sends a block again and again, until the other side has taken none for a second, or all.
 * @returns how many bytes that were
 */
export async function flood(wire: Wire, block: Buffer, maxBytes: number): Promise<number> {
  for (let bytes = 0; bytes < maxBytes; bytes += block.length) {
    const isTaken =
      wire.write(block) || (await Promise.race([once(wire.socket, 'drain'), sleep(1000, false)])) !== false
    if (!isTaken) return bytes
  }
  return maxBytes
}
