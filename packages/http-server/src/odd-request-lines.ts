import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'
import { http } from '@ipfleet/core/node-http.ts'

/** What node:http's parser says of a request that it refuses. */
export interface ParseError extends Error {
  readonly code?: string
  /** What was read last, and where in it the parser stopped. */
  readonly rawPacket?: Buffer
  readonly bytesParsed?: number
}

/** Of Node 26.10 (src/node_http_parser.cc). Not in its types. */
interface Parser {
  /** Takes it out of the connections, in which it stands by the time of its last request. */
  remove(): void
  initialize(type: number, resource: object, maxHeaderSize: number, leniency: number, connections: object): void
}

/** HTTPParser.REQUEST, and no leniency. */
const [REQUEST, STRICT] = [1, 0]
const LF = 0x0a
const requestLine = /^([A-Z][\dA-Z_-]{0,63}) ([!-~\x80-\xff]+)( HTTP\/1\.[01]\r?)$/
const rawByte = /[\x80-\xff]/g
const methods: ReadonlySet<string> = new Set(http.METHODS)
/** All that the parser knows: those of RTSP too, which it refuses later. */
const parsedMethods = [
  ...http.METHODS,
  ...'ANNOUNCE DESCRIBE FLUSH GET_PARAMETER PAUSE PLAY PRI RECORD REDIRECT SET_PARAMETER SETUP TEARDOWN'.split(' '),
]
/** In place of a method that the parser does not know. Nothing in how a request is read depends on it. */
const standInMethod = 'POST'

/** What a client wrote in its request line. */
interface Written {
  readonly method: string
  readonly target: string
}

/** What clients wrote, by the target that the parser was given in its place. */
const writtenOn = new WeakMap<Socket, Map<string, Written>>()

/** Connections whose bytes are being given once more. A second time in one read would cost the square of its requests. */
const again = new WeakSet<Socket>()

/**
 * RFC 9110 §9.1 leaves the list of methods open, and clients send bytes over 0x7f in targets, which RFC 3986 has not; there
 * is one way to read either. The parser of Node 26.10 refuses them whatever it is told to tolerate. So it is given the
 * same bytes once more, from the request line on that it refused, with another method and escapes in their place;
 * `restoreRequestLine` takes these out again. What came before that line has been read already.
 * @returns false: the request is refused for another reason, its line came in several reads, or it is the second in one read
 */
export function rereadRequestLine(
  server: Server,
  { code, rawPacket, bytesParsed = 0 }: ParseError,
  socket: Socket,
): boolean {
  if (rawPacket === undefined || again.has(socket)) return false
  const parser = Reflect.get(socket, 'parser') as Parser | null | undefined
  const connections = connectionsOf(server)
  // Node has paused it for answers that wait, and reads nothing then.
  const isPaused = Reflect.get(socket, '_paused') === true
  if (!parser || connections === undefined || isPaused) return false
  const lineAt = bytesParsed === 0 ? 0 : rawPacket.lastIndexOf(LF, bytesParsed - 1) + 1
  const lineEnd = rawPacket.indexOf(LF, bytesParsed)
  const [, method = '', target = '', version = ''] =
    requestLine.exec(rawPacket.toString('latin1', lineAt, lineEnd)) ?? []
  const isUnknown = code === 'HPE_INVALID_METHOD' && knownLetters(method) === bytesParsed - lineAt
  const isRaw = code === 'HPE_INVALID_URL' && methods.has(method)
  if (method === '' || !(isUnknown || isRaw)) return false
  const escaped = target.replace(rawByte, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase()}`)
  const written = writtenOn.get(socket) ?? new Map<string, Written>()
  writtenOn.set(socket, written.set(escaped, { method, target }))
  parser.remove()
  parser.initialize(REQUEST, {}, Reflect.get(server, 'maxHeaderSize') as number, STRICT, connections)
  const line = `${isUnknown ? standInMethod : method} ${escaped}${version}`
  again.add(socket)
  socket.emit('data', Buffer.concat([Buffer.from(line), rawPacket.subarray(lineEnd)]))
  again.delete(socket)
  return true
}

/**
 * How many letters of an unknown method the parser takes before it stops. Where it stopped elsewhere, the method began in
 * an earlier read, or behind a body, and what was found is only its end, or not only it.
 */
function knownLetters(method: string): number {
  let count = 0
  while (count < method.length && parsedMethods.some((known) => known.startsWith(method.slice(0, count + 1))))
    count += 1
  return count
}

/** In which Node looks for heads that take too long. */
function connectionsOf(server: Server): object | undefined {
  const name = Object.getOwnPropertySymbols(server).find(({ description }) => description === 'http.server.connections')
  return name && (Reflect.get(server, name) as object | undefined)
}

/** Gives a request the method and target that its client wrote. */
export function restoreRequestLine(req: IncomingMessage): void {
  const written = writtenOn.get(req.socket)
  const line = written?.get(req.url ?? '')
  if (line === undefined) return
  written?.delete(req.url ?? '')
  req.method = line.method
  req.url = line.target
}
