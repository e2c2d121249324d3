import type { ServerResponse } from 'node:http'

/** How long a client may go on sending what nobody reads before its connection is cut. */
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
    const timer = setTimeout(() => socket.destroy(), lingerMs)
    socket.once('close', () => clearTimeout(timer))
  }
}
