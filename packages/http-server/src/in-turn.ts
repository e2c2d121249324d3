import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Counts } from '@ipfleet/core/counts.ts'
import { addressSubject } from '@ipfleet/net/address-subject.ts'
import { peerAddress } from '@ipfleet/net/client-address.ts'
import { readTurns } from './read-turns.ts'

type Serve = (req: IncomingMessage, res: ServerResponse) => void

/** From so many waiting requests on, nothing more is read from a connection, until half of them are answered. */
const pauseAt = 100
/** Of one client and of all. One read of 64 KB brings up to 2,500; each takes about 2 KB of memory until its turn. */
const maxWaitingPerClient = 5000
const maxWaitingInAll = 20_000

/** The requests of one connection that wait for the answers before them. */
interface Line {
  waiting: number
  isPaused: boolean
}

/**
 * Has the requests of a connection served one after the other. Node 26 hands over pipelined ones all at once: a GET could
 * overtake the POST before it, and what follows a refused request, which cannot be trusted, would be acted upon although
 * it is never answered. So none is served after an answer that ends the connection.
 *
 * A connection that is far ahead is read on as its answers go out. A client that is far ahead on many connections has
 * those closed that bring more: an answer would have to wait for those before it.
 */
export function inTurn(serve: Serve): Serve {
  const lines = new WeakMap<Socket, Line>()
  const byClient = new Counts()
  let inAll = 0

  const serveUnlessOver = (req: IncomingMessage, res: ServerResponse): void => {
    if (!req.socket.writableEnded) serve(req, res)
  }

  const count = (client: string, change: 1 | -1): void => {
    inAll += change
    byClient.add(client, change)
  }

  const wait = (req: IncomingMessage, res: ServerResponse): void => {
    const { socket } = req
    const line = lines.getOrInsert(socket, { waiting: 0, isPaused: false })
    const client = addressSubject(peerAddress(req))
    const isFull = inAll >= maxWaitingInAll || byClient.of(client) >= maxWaitingPerClient
    if (isFull && line.waiting >= pauseAt) {
      readTurns.restOthers(socket)
      socket.destroy()
      return
    }
    line.waiting += 1
    count(client, 1)
    if (line.waiting >= pauseAt) pause(socket, line)
    let isWaiting = true
    const leave = (): void => {
      if (!isWaiting) return
      isWaiting = false
      line.waiting -= 1
      count(client, -1)
      if (line.isPaused && line.waiting <= pauseAt / 2) resume(socket, line)
    }
    res.once('close', leave)
    res.once('socket', () => {
      leave()
      serveUnlessOver(req, res)
    })
  }

  return (req, res) => {
    // Node gives a response its socket when all before it are out.
    if (res.socket === null) wait(req, res)
    else serveUnlessOver(req, res)
  }
}

function pause(socket: Socket, line: Line): void {
  if (line.isPaused) return
  line.isPaused = true
  readTurns.restOthers(socket)
  closeWithoutStacks(socket)
  // Node 26 resumes the socket whenever a request is read to its end, also one without a body.
  socket.on('resume', pauseAgain)
  socket.pause()
}

const stacksSpared = new WeakSet<Socket>()

/**
 * When a connection ends, Node 26 makes an error for each request that waits (lib/_http_server.js, `abortIncoming`). The
 * stacks of thousands of them take most of the time of the end, and they are not read.
 */
function closeWithoutStacks(socket: Socket): void {
  if (stacksSpared.has(socket)) return
  stacksSpared.add(socket)
  for (const event of ['end', 'close']) {
    let limit = Error.stackTraceLimit
    socket.prependListener(event, () => {
      limit = Error.stackTraceLimit
      Error.stackTraceLimit = 0
    })
    socket.on(event, () => {
      Error.stackTraceLimit = limit
    })
  }
}

function resume(socket: Socket, line: Line): void {
  line.isPaused = false
  socket.off('resume', pauseAgain)
  socket.resume()
}

function pauseAgain(this: Socket): void {
  this.pause()
}
