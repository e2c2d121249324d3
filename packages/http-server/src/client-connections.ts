import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { Counts } from '@ipfleet/core/counts.ts'
import { addressBlocks } from '@ipfleet/net/address-blocks.ts'
import { addressSubject } from '@ipfleet/net/address-subject.ts'
import { plainAddress } from '@ipfleet/net/client-address.ts'

export interface ClientConnectionLimits {
  /** Of one address (IPv6: each /64). 0: no limit. */
  readonly maxPerClient: number
  /** Blocks of proxies, whose connections carry the requests of many clients. They are not limited. */
  readonly trusted: readonly string[]
}

/**
 * Closes connections of a client that has as many as it may, idle ones included, before anything is read of them.
 * @throws RangeError for a malformed block
 */
export function limitClientConnections(server: Server, { maxPerClient, trusted }: ClientConnectionLimits): void {
  if (maxPerClient === 0) return
  const isTrusted = addressBlocks(trusted)
  const open = new Counts()
  server.prependListener('connection', (socket: Socket) => {
    const address = plainAddress(socket.remoteAddress)
    if (isTrusted(address)) return
    const client = addressSubject(address)
    if (open.of(client) >= maxPerClient) {
      socket.destroy()
      return
    }
    open.add(client, 1)
    socket.once('close', () => open.add(client, -1))
  })
}
