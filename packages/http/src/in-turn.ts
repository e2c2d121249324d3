import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

type Serve = (req: IncomingMessage, res: ServerResponse) => void

/** Nothing more is read from a connection while so many of its requests wait. */
const maxWaiting = 100

/** What waits on a connection, and whether reading from it is held up for that. */
interface Waiting {
  count: number
  isHeld: boolean
}

/**
 * Has the requests of a connection served one after the other. Node 26 hands over pipelined ones all at once: a GET could
 * overtake the POST before it, and what follows a refused request, which nobody can trust, would be acted upon although
 * it is never answered. So none is served after an answer that ends the connection.
 *
 * Any number may be pipelined, as with nginx and HAProxy: the rest is read as answers go out. Node parses what it has
 * read (64 KiB at most) to its end, so that the requests in one such piece may wait in addition to `maxWaiting`.
 */
export function inTurn(serve: Serve): Serve {
  const waitingOn = new WeakMap<Socket, Waiting>()

  const serveUnlessOver = (req: IncomingMessage, res: ServerResponse): void => {
    if (!req.socket.writableEnded) serve(req, res)
  }

  const wait = (req: IncomingMessage, res: ServerResponse): void => {
    const { socket } = req
    const waiting = waitingOn.get(socket) ?? firstWaiting(socket)
    waitingOn.set(socket, waiting)
    waiting.count += 1
    if (waiting.count >= maxWaiting) hold(socket, waiting)
    res.once('socket', () => {
      waiting.count -= 1
      if (waiting.isHeld && waiting.count < maxWaiting) release(socket, waiting)
      serveUnlessOver(req, res)
    })
  }

  return (req, res) => {
    // Node gives a response its socket when all before it are out.
    if (res.socket === null) wait(req, res)
    else serveUnlessOver(req, res)
  }
}

function firstWaiting(socket: Socket): Waiting {
  const waiting = { count: 0, isHeld: false }
  // Node 26 (lib/_http_incoming.js, `readStart`) resumes the connection at the end of each request.
  socket.on('resume', () => {
    if (waiting.isHeld) socket.pause()
  })
  return waiting
}

function hold(socket: Socket, waiting: Waiting): void {
  if (waiting.isHeld) return
  waiting.isHeld = true
  socket.pause()
}

function release(socket: Socket, waiting: Waiting): void {
  waiting.isHeld = false
  socket.resume()
}
