import type { Server } from 'node:http'
import type { Socket } from 'node:net'

/** Emitted by a server with a connection that node:http begins to read later than it came. */
export const READ_LATER = 'ipfleetReadLater'

/**
 * Takes the connections of a server away from node:http, which would begin to read each at once. Its own listener is the
 * first one; those that came later stay.
 * @returns gives a connection to node:http, as it would have had it from the start
 */
export function takeConnections(server: Server): (socket: Socket) => void {
  const [ofNode] = server.listeners('connection')
  if (ofNode === undefined) throw new Error('The connections of this server are taken already')
  server.removeListener('connection', ofNode)
  return (socket) => {
    ofNode.call(server, socket)
    server.emit(READ_LATER, socket)
  }
}
