import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { UpgradeOffer } from '../proxy/client-answer.ts'

/** RFC 9113 §3.1: `h2c` is obsolete, and what it would switch is this hop, not the backend's. `TLS` likewise. */
const ownProtocols = /(?:^|,)\s*(?:h2c?|tls\/[\d.]+|http\/[\d.]+)\s*(?:,|$)/i

/** Whether a request asks for a switch that is the backend's to make. */
export function asksForTunnel({ method, headers }: IncomingMessage): boolean {
  const { connection = '', upgrade } = headers
  if (method !== 'GET' || upgrade === undefined || ownProtocols.test(upgrade)) return false
  return /(?:^|,)\s*upgrade\s*(?:,|$)/i.test(connection)
}

function ignore(): void {}

/**
 * A request with Upgrade has no response in Node; this gives it one, for the case that the switch is declined, and the
 * way to take the connection away from it for the case that it is not.
 */
export function offerOf(
  req: IncomingMessage,
  socket: Socket,
  early: Buffer,
): { res: ServerResponse; offer: UpgradeOffer } {
  const res = new ServerResponse(req)
  res.shouldKeepAlive = false
  res.assignSocket(socket)
  socket.on('error', ignore)
  res.once('finish', () => {
    res.detachSocket(socket)
    socket.destroySoon()
  })
  const detach = (): void => {
    socket.off('error', ignore)
    res.detachSocket(socket)
  }
  return { res, offer: { socket, early, detach } }
}
