import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { http } from '@ipfleet/core/node-http.ts'
import type { UpgradeOffer } from './client-answer.ts'

/** RFC 9113 §3.1: `h2c` is obsolete, and what it would switch is this hop, not the backend's. `TLS` likewise. */
const ownProtocols = /(?:^|,)\s*(?:h2c?|tls\/[\d.]+|http\/[\d.]+)\s*(?:,|$)/i

/**
 * Whether a request asks for a switch that is the backend's to make, whatever its method: Docker's clients POST. In
 * HTTP/1.0 there is none (RFC 9110 §7.8).
 */
export function asksForTunnel({ headers, httpVersion }: IncomingMessage): boolean {
  const { connection = '', upgrade } = headers
  if (httpVersion === '1.0' || upgrade === undefined || ownProtocols.test(upgrade)) return false
  return /(?:^|,)\s*upgrade\s*(?:,|$)/i.test(connection)
}

function hasBody(headers: IncomingHttpHeaders): boolean {
  return (headers['content-length'] ?? '0') !== '0' || headers['transfer-encoding'] !== undefined
}

/**
 * Whether others may follow a request on its connection. When an Upgrade is not taken, Node 26.10 forgets what came in
 * one read behind the request, and would begin the next one in the middle. So nothing may have: the request is the
 * first, as that of a client which offers `h2c` is, and all that has come.
 */
export function mayBeFollowed(req: IncomingMessage): boolean {
  return req.headers.upgrade === undefined || (!hasBody(req.headers) && req.socket.bytesRead === headLength(req))
}

/** As clients write it, with one blank before each value. */
function headLength({ method = '', url = '', rawHeaders }: IncomingMessage): number {
  const line = `${method} ${url} HTTP/1.1\r\n`.length
  // Each name is followed by a colon and a blank, each value by a line end.
  return rawHeaders.reduce((length, text) => length + text.length + 2, line + 2)
}

function ignore(): void {}

/**
 * A request with Upgrade has no response in Node; this gives it one, for the case that the switch is declined, and the
 * way to take the connection away from it for the case that it is not.
 *
 * `stream` is the connection itself, or as long as the body of the request is still coming what Node 26.10 has in its
 * place: a stream of what comes behind the body. `head` is what came behind the request.
 *
 * @param onDeclined told when the answer is out and the connection free for more; without it, the connection ends then
 */
export function offerOf(
  req: IncomingMessage,
  stream: Duplex,
  head: Buffer,
  onDeclined?: () => void,
): { res: ServerResponse; offer: UpgradeOffer } {
  const socket = stream instanceof Socket ? stream : req.socket
  const res = new http.ServerResponse(req)
  res.shouldKeepAlive = onDeclined !== undefined
  res.assignSocket(socket)
  // Node does neither for a socket that it has given away.
  const onDrain = (): boolean => res.emit('drain')
  const onEnd = (): void => void res.destroy()
  socket.on('error', ignore).on('drain', onDrain).on('end', onEnd)
  const isBodyBehind = stream !== socket
  // It repeats the errors of the connection, and an error without a listener ends the process.
  if (isBodyBehind) stream.on('error', ignore)
  const offer = {
    socket,
    early: head,
    detach(): void {
      socket.off('error', ignore).off('drain', onDrain).off('end', onEnd)
      res.detachSocket(socket)
      if (isBodyBehind) offer.early = takenFrom(stream, socket)
    },
  }
  res.once('finish', () => {
    if (onDeclined) {
      offer.detach()
      onDeclined()
    } else {
      res.detachSocket(socket)
      socket.destroySoon()
    }
    res.emit('close')
  })
  return { res, offer }
}

/** What has come behind the body. From then on the connection speaks for itself. */
function takenFrom(stream: Duplex, socket: Socket): Buffer {
  socket.removeAllListeners('data')
  const taken: unknown = stream.read()
  return Buffer.isBuffer(taken) ? taken : Buffer.alloc(0)
}
