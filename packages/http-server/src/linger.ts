import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

/** How long a client may go on sending what is not read before its connection is cut. */
const lingerMs = 1000

/**
 * Makes the connection end after this answer without losing it: a socket that is closed while the client is still
 * sending is reset by the kernel, and a reset can overtake the answer. So only our side is closed, and what still
 * comes is read and forgotten, for a second at most (RFC 9112 §9.6).
 */
export function lingerAfter(res: ServerResponse): void {
  const { socket, req } = res
  if (socket === null) return
  res.shouldKeepAlive = false
  // Node 26 ends a connection after its last answer with this method.
  socket.destroySoon = () => {
    socket.end()
    req.resume()
    cutLater(socket)
  }
}

/** Destroys a connection that its client does not end within a second. */
export function cutLater(socket: Duplex): void {
  const timer = setTimeout(() => socket.destroy(), lingerMs)
  socket.once('close', () => clearTimeout(timer))
}

/** Ends a connection with this, and reads on until its client closes or a second is over: with bytes unread, it could be lost. */
export function endWith(socket: Duplex, answer: Buffer): void {
  socket.on('error', () => {}).end(answer)
  socket.resume()
  cutLater(socket)
}
