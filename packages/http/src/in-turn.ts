import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

type Serve = (req: IncomingMessage, res: ServerResponse) => void

/** Of one connection. No client is known that sends more ahead; nginx and HAProxy take them one by one. */
const mostWaiting = 100

/**
 * Has the requests of a connection served one after the other. Node 26 hands over pipelined ones all at once: a GET could
 * overtake the POST before it, and what follows a refused request, which nobody can trust, would be acted upon although
 * it is never answered. So none is served after an answer that ends the connection.
 */
export function inTurn(serve: Serve): Serve {
  const waiting = new WeakMap<Socket, number>()

  const serveUnlessOver = (req: IncomingMessage, res: ServerResponse): void => {
    if (!req.socket.writableEnded) serve(req, res)
  }

  const wait = (req: IncomingMessage, res: ServerResponse): void => {
    const { socket } = req
    const ahead = waiting.get(socket) ?? 0
    if (ahead === mostWaiting) {
      socket.destroy()
      return
    }
    waiting.set(socket, ahead + 1)
    res.once('socket', () => {
      waiting.set(socket, (waiting.get(socket) ?? 1) - 1)
      serveUnlessOver(req, res)
    })
  }

  return (req, res) => {
    // Node gives a response its socket when all before it are out.
    if (res.socket === null) wait(req, res)
    else serveUnlessOver(req, res)
  }
}
