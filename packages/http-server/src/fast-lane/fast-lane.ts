import { ownLatin1 } from '@ipfleet/core/own-latin1.ts'
import type { Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { trackConnections } from '../connection-tracker.ts'
import { takeConnections } from '../take-connections.ts'
import { AnsweringConnection, type LaneAnswer } from './answering-connection.ts'
import type { ConnectionFields, Lane, LaneConnection } from './lane-connection.ts'
import { HeadReader, type HeadReaderOptions } from './request-head.ts'
import { type LaneServe, ServingConnection } from './serving-connection.ts'

/**
 * Has a server answer plain requests without node:http, which takes two thirds of the time of an answer from memory. What
 * is not answered at once is handed over to node:http.
 */
export function openFastLane(server: Server, answer: LaneAnswer): void {
  openLane(server, new HeadReader(), (lane, socket) => new AnsweringConnection(lane, socket, answer))
}

/** Has a server give plain requests to `serve` instead of node:http, whose part is half of the time of a proxied GET. */
export function openServingLane(server: Server, heads: HeadReaderOptions, serve: LaneServe): void {
  openLane(server, new HeadReader(heads), (lane, socket) => new ServingConnection(lane, socket, serve))
}

/**
 * Takes the connections of a server, and hands over to node:http, byte by byte as it came, whatever is not plain. A
 * connection comes back when that exchange is over.
 *
 * Limits of connections, limits of idle time, and the graceful close are those of the server. It has to be called before
 * anything else listens for connections: what listens in Node's place stands where Node did.
 */
function openLane(server: Server, heads: HeadReader, open: (lane: Lane, socket: Socket) => LaneConnection): void {
  if (server.listenerCount('connection') !== 1) throw new Error('Something listens for connections already')
  const attachHttp = takeConnections(server)
  const connections = trackConnections(server)
  const lane = { server, heads, connections, connectionFields: connectionFields(server), attachHttp }
  const opened = new WeakMap<Socket, LaneConnection>()
  server.on('connection', (socket: Socket) => opened.set(socket, open(lane, socket)))
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
