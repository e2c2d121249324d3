import type { Server } from 'node:http'
import type { Socket } from 'node:net'
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
  const openByClient = new Map<string, number>()
  server.prependListener('connection', (socket: Socket) => {
    const address = plainAddress(socket.remoteAddress)
    if (isTrusted(address)) return
    const client = addressSubject(address)
    const open = openByClient.get(client) ?? 0
    if (open >= maxPerClient) {
      socket.destroy()
      return
    }
    openByClient.set(client, open + 1)
    socket.once('close', () => {
      const left = (openByClient.get(client) ?? 1) - 1
      if (left > 0) openByClient.set(client, left)
      else openByClient.delete(client)
    })
  })
}
