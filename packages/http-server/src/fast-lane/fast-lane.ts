import { ownLatin1 } from '@ipfleet/core/own-latin1.ts'
import type { Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { trackConnections } from '../connection-tracker.ts'
import { takeConnections } from '../take-connections.ts'
import type { ConnectionFields } from './lane-connection.ts'
import { type LaneHandlers, PlainConnection } from './plain-connection.ts'
import { HeadReader, type HeadReaderOptions } from './request-head.ts'

/**
 * Has a server answer plain requests without node:http, which takes two thirds of the time of an answer from memory, and
 * half of the time of a proxied GET. Whatever is not plain is handed over to node:http, byte by byte as it came; the
 * connection comes back when that exchange is over.
 *
 * Limits of connections, limits of idle time, and the graceful close are those of the server. It has to be called before
 * anything else listens for connections: what listens in Node's place stands where Node did.
 */
export function openFastLane(server: Server, handlers: LaneHandlers, options: HeadReaderOptions = {}): void {
  if (server.listenerCount('connection') !== 1) throw new Error('Something listens for connections already')
  const attachHttp = takeConnections(server)
  const connections = trackConnections(server)
  const heads = new HeadReader(options)
  const lane = { server, heads, connections, connectionFields: connectionFields(server), attachHttp }
  const opened = new WeakMap<Socket, PlainConnection>()
  server.on('connection', (socket: Socket) => opened.set(socket, new PlainConnection(lane, socket, handlers)))
  // One function for all responses.
  function takeBack(this: ServerResponse): void {
    opened.get(this.req.socket)?.takeBack(this.req)
  }
  server.on('request', (_req, res) => res.once('close', takeBack))
}

/** Made once a second. */
function connectionFields(server: Server): () => ConnectionFields {
  let lastSecond = NaN
  let fields = { date: '', connection: '', all: '' }
  return () => {
    const nowMs = Date.now()
    const second = Math.floor(nowMs / 1000)
    if (second !== lastSecond) {
      lastSecond = second
      const keepAlive = `timeout=${Math.floor(server.keepAliveTimeout / 1000)}`
      const date = `Date: ${new Date(nowMs).toUTCString()}\r\n`
      const connection = `Connection: keep-alive\r\nKeep-Alive: ${keepAlive}\r\n`
      fields = { date, connection, all: ownLatin1(`${date}${connection}`) }
    }
    return fields
  }
}
