import type { OnReadOpts } from 'node:net'
import { tunnelOf, type TunnelSocket } from './tunnel.ts'

/** As much as one read brings. */
const blockBytes = 65_536
/** Where all that have little to say are read, one after the other. */
const common: Buffer = Buffer.allocUnsafeSlow(blockBytes)
/** Where the socket that has just been read is read next. */
let next: Buffer = common

/**
 * Given to `connect` for the server's side of a tunnel. A stream takes a new block of memory for each read, which costs
 * more than the reading. Here a socket that sends much has a block of its own, which stays in the processor's cache: it is
 * read into again as soon as the system has taken what is in it. The socket must be joined in the turn in which it
 * connects.
 */
export const tunnelReading: OnReadOpts = {
  buffer: () => {
    const given = next
    // Not of the next one who asks, which may be a socket that is just being made.
    next = common
    return given
  },
  callback(this: TunnelSocket, length: number, block: Buffer): boolean {
    const tunnel = this[tunnelOf]
    if (tunnel === undefined) {
      this.destroy()
      return false
    }
    const isFull = length === blockBytes
    const chunk = block.subarray(0, length)
    // Others may be read into the common block before this is sent.
    tunnel.passOn(this, block === common ? Buffer.from(chunk) : chunk)
    const isTaken = block === common || tunnel.isBehind(this)
    if (isFull) next = isTaken ? Buffer.allocUnsafeSlow(blockBytes) : block
    else next = common
    return true
  },
}
