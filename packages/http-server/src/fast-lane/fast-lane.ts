import type { Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { trackConnections } from '../connection-tracker.ts'
import { takeConnections } from '../take-connections.ts'
import { type LaneAnswer, LaneConnection } from './lane-connection.ts'
import { HeadReader } from './request-head.ts'

/**
 * Has a server answer plain requests without node:http, which takes two thirds of the time of an answer from memory. It
 * reads the heads of plain requests itself, and hands over to node:http, byte by byte as it came, whatever is not
 * plain or is not answered at once. A connection comes back when that exchange is over.
 *
 * Limits of connections, limits of idle time, and the graceful close are those of the server. It has to be called before
 * anything else listens for connections: what listens in Node's place stands where Node did.
 */
export function openFastLane(server: Server, answer: LaneAnswer): void {
  if (server.listenerCount('connection') !== 1) throw new Error('Something listens for connections already')
  const attachHttp = takeConnections(server)
  const lane = {
    server,
    answer,
    heads: new HeadReader(),
    connections: trackConnections(server),
    connectionFields: connectionFields(server),
    attachHttp,
  }
  const open = new WeakMap<Socket, LaneConnection>()
  server.on('connection', (socket: Socket) => open.set(socket, new LaneConnection(lane, socket)))
  // One function for all responses.
  function takeBack(this: ServerResponse): void {
    open.get(this.req.socket)?.takeBack(this.req)
  }
  server.on('request', (_req, res) => res.once('close', takeBack))
}

/** `Date` (RFC 9110 §6.6.1) and what node:http says of a connection that stays, made once a second. */
function connectionFields(server: Server): () => string {
  let lastSecond = NaN
  let fields = ''
  return () => {
    const nowMs = Date.now()
    const second = Math.floor(nowMs / 1000)
    if (second !== lastSecond) {
      lastSecond = second
      const keepAlive = `timeout=${Math.floor(server.keepAliveTimeout / 1000)}`
      fields = `Date: ${new Date(nowMs).toUTCString()}\r\nConnection: keep-alive\r\nKeep-Alive: ${keepAlive}\r\n`
    }
    return fields
  }
}
