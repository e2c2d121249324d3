import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'
import { http } from '@ipfleet/core/node-http.ts'

/** What node:http's parser says of a request whose target has bytes over 0x7f. */
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
const requestLine = /^([A-Z-]+) ([!-~\x80-\xff]+)( HTTP\/1\.[01]\r?)$/
const rawByte = /[\x80-\xff]/g
const methods: ReadonlySet<string> = new Set(http.METHODS)

/** Targets as they came, by what the parser was given in their place. */
const rawTargets = new WeakMap<Socket, Map<string, string>>()

/** Connections whose bytes are being given once more. A second time in one read would cost the square of its requests. */
const again = new WeakSet<Socket>()

/**
 * RFC 3986 has no bytes over 0x7f in a target, yet clients send them, and there is one way to read them. The parser of
 * Node 26.10 refuses them whatever it is told to tolerate. So it is given the same bytes once more, from the request line
 * on that it refused, with escapes in their place; `restoreTarget` takes these out again. What came before that line has
 * been read already.
 * @returns false: the request is refused for another reason, its line came in several reads, or it is the second in one read
 */
export function readRawTarget(
  server: Server,
  { code, rawPacket, bytesParsed = 0 }: ParseError,
  socket: Socket,
): boolean {
  if (code !== 'HPE_INVALID_URL' || rawPacket === undefined || again.has(socket)) return false
  const parser = Reflect.get(socket, 'parser') as Parser | null | undefined
  const connections = connectionsOf(server)
  // Node has paused it for answers that wait, and reads nothing then.
  const isPaused = Reflect.get(socket, '_paused') === true
  if (!parser || connections === undefined || isPaused) return false
  const lineAt = bytesParsed === 0 ? 0 : rawPacket.lastIndexOf(LF, bytesParsed - 1) + 1
  const lineEnd = rawPacket.indexOf(LF, bytesParsed)
  const [, method = '', target = '', version = ''] =
    requestLine.exec(rawPacket.toString('latin1', lineAt, lineEnd)) ?? []
  const escaped = target.replace(rawByte, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase()}`)
  if (!methods.has(method) || escaped === target) return false
  const targets = rawTargets.get(socket) ?? new Map<string, string>()
  rawTargets.set(socket, targets.set(escaped, target))
  parser.remove()
  parser.initialize(REQUEST, {}, Reflect.get(server, 'maxHeaderSize') as number, STRICT, connections)
  again.add(socket)
  socket.emit('data', Buffer.concat([Buffer.from(`${method} ${escaped}${version}`), rawPacket.subarray(lineEnd)]))
  again.delete(socket)
  return true
}

/** In which Node looks for heads that take too long. */
function connectionsOf(server: Server): object | undefined {
  const name = Object.getOwnPropertySymbols(server).find(({ description }) => description === 'http.server.connections')
  return name && (Reflect.get(server, name) as object | undefined)
}

/** Gives a request the target that its client wrote. */
export function restoreTarget(req: IncomingMessage): void {
  const targets = rawTargets.get(req.socket)
  const raw = targets?.get(req.url ?? '')
  if (raw === undefined) return
  targets?.delete(req.url ?? '')
  req.url = raw
}
