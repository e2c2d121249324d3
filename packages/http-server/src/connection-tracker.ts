import type { Server, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

/** What is open on a server. `closeAllConnections` of Node skips upgraded and CONNECT sockets; here they count. */
export interface ConnectionTracker {
  readonly count: number
  /** Whether `sayGoodbye` was called. */
  readonly isLeaving: boolean
  /** Notes what node:http does not tell: an answer that no ServerResponse has given, or a response of another's making. */
  note(socket: Socket, held: Held): void
  /** `performance.now()` when a connection was last seen open. */
  lastOpenMs(): number
  /** The response to the latest request on this connection, if it has not left the connection yet. */
  pending(socket: Duplex): ServerResponse | undefined
  /** From now on every answer says `Connection: close`, those under way too if their header is still here. */
  sayGoodbye(): void
  /** Ends, once its answer is out, each connection whose answer has promised to stay. */
  endWhenAnswered(): void
  /** Destroys connections that were answered and now wait for nothing. */
  destroyIdle(): void
  /** Destroys connections on which nothing was ever sent. */
  destroySilent(): void
  destroyAll(): void
}

const trackers = new WeakMap<Server, ConnectionTracker>()

/** The tracker of a server; it knows the connections accepted since the first call. */
export function trackConnections(server: Server): ConnectionTracker {
  return trackers.getOrInsertComputed(server, createTracker)
}

/** The latest response on a connection as long as it is not out; `new`: there is none, but a request may be there. */
type Held = ServerResponse | 'new' | 'answered'

function createTracker(server: Server): ConnectionTracker {
  const open = new Map<Socket, Held>()
  let lastCloseMs = -Infinity
  let leaving = false

  // One function for all, as below.
  function closed(this: Socket): void {
    open.delete(this)
    lastCloseMs = performance.now()
  }
  server.on('connection', (socket: Socket) => {
    open.set(socket, 'new')
    socket.on('close', closed)
  })
  // One function for all: a response that is out must not stay for as long as its connection waits for the next.
  function answered(this: ServerResponse): void {
    const { socket } = this.req
    if (open.get(socket) === this) open.set(socket, 'answered')
  }
  function note(socket: Socket, held: Held): void {
    open.set(socket, held)
    if (typeof held !== 'object') return
    held.once('close', answered)
    if (leaving) held.shouldKeepAlive = false
  }
  // Before any other listener: one of those may answer at once.
  server.prependListener('request', (req, res) => note(req.socket, res))

  return {
    get count() {
      return open.size
    },
    get isLeaving() {
      return leaving
    },
    note,
    lastOpenMs: () => (open.size > 0 ? performance.now() : lastCloseMs),
    pending(socket) {
      const held = socket instanceof Socket ? open.get(socket) : undefined
      return typeof held === 'object' && !held.writableFinished ? held : undefined
    },
    sayGoodbye() {
      leaving = true
      for (const held of open.values()) if (typeof held === 'object' && !held.headersSent) held.shouldKeepAlive = false
    },
    endWhenAnswered() {
      for (const [socket, held] of open) {
        if (typeof held === 'object' && !held.writableFinished) held.once('close', () => socket.end())
      }
    },
    destroyIdle() {
      for (const [socket, held] of open) {
        if (held !== 'answered' && (held === 'new' || !held.writableFinished)) continue
        if (socket.writableLength === 0) socket.destroy()
        // Destroyed with unread requests, it would be reset, and that can overtake the answers.
        else socket.end().resume()
      }
    },
    destroySilent() {
      for (const socket of open.keys()) if (socket.bytesRead === 0) socket.destroy()
    },
    destroyAll() {
      for (const socket of open.keys()) socket.destroy()
    },
  }
}
