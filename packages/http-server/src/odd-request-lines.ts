import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'
import { http } from '@ipfleet/core/node-http.ts'
import { READ_LATER } from './take-connections.ts'

/** What node:http's parser says of a request that it refuses. */
export interface ParseError extends Error {
  readonly code?: string
  /** What was read last, and where in it the parser stopped. */
  readonly rawPacket?: Buffer
  readonly bytesParsed?: number
}

type TakeBody = (this: Parser, bytes: Buffer) => unknown

/** Of Node 26.10 (src/node_http_parser.cc, lib/_http_common.js). Not in its types. */
interface Parser {
  readonly socket: Socket | null
  /** `kOnMessageBegin`: called when the first byte of a message is there. */
  0?: (this: Parser) => void
  /** `kOnBody`: called with each part of a body. The same function in all of them. */
  3: TakeBody
  /** Takes it out of the connections, in which it stands by the time of its last request. */
  remove(): void
  initialize(type: number, resource: object, maxHeaderSize: number, leniency: number, connections: object): void
}

/** HTTPParser.REQUEST, and no leniency. */
const [REQUEST, STRICT] = [1, 0]
const LF = 0x0a
const requestLine = /^([A-Z][\dA-Z_-]{0,63}) ([!-~\x80-\xff]+)( HTTP\/1\.[01]\r?)$/
const rawByte = /[\x80-\xff]/g
const methods: ReadonlySet<string> = new Set(http.METHODS.filter((method) => method !== 'CONNECT'))
/** In place of a method that the parser does not know. Nothing in how a request is read depends on it. */
const standInMethod = 'POST'

/** How much had come on a connection, that read included, when its latest message began, and when there was last a body. */
const beganAt = new WeakMap<Socket, number>()
const bodyAt = new WeakMap<Socket, number>()
let takeBody: TakeBody

function noteBegin(this: Parser): void {
  if (this.socket) beganAt.set(this.socket, this.socket.bytesRead)
}

function noteBody(this: Parser, bytes: Buffer): unknown {
  if (this.socket) bodyAt.set(this.socket, this.socket.bytesRead)
  return takeBody.call(this, bytes)
}

/** What a client wrote in the line of the next request of a connection. */
const written = new WeakMap<Socket, { readonly method: string; readonly target: string }>()

/** Connections whose bytes are being given once more. A second time in one read would cost the square of its requests. */
const again = new WeakSet<Socket>()

/** Whether the parser has been begun anew, so that nothing is refused. */
export type OddRequestLines = (error: ParseError, socket: Socket) => boolean

/**
 * RFC 9110 §9.1 leaves the list of methods open, and clients send bytes over 0x7f in targets, which RFC 3986 has not; there
 * is one way to read either. The parser of Node 26.10 refuses them whatever it is told to tolerate. So it is given the
 * same bytes once more, from the request line on that it refused, with another method and escapes in their place, and the
 * request gets its own back before anyone sees it. What came before that line has been read already.
 *
 * Not taken: the second such line in one read, and one of which it is not certain where it begins, in an earlier read or in
 * one with a body.
 */
export function readOddRequestLines(server: Server): OddRequestLines {
  for (const event of ['connection', 'secureConnection', READ_LATER]) server.on(event, follow)
  for (const event of ['request', 'upgrade', 'checkContinue', 'checkExpectation'])
    server.prependListener(event, restore)

  return ({ code, rawPacket, bytesParsed = 0 }, socket) => {
    if (rawPacket === undefined || again.has(socket)) return false
    if (beganAt.get(socket) !== socket.bytesRead || bodyAt.get(socket) === socket.bytesRead) return false
    const parser = parserOf(socket)
    const connections = connectionsOf(server)
    // Node has paused it for answers that wait, and reads nothing then.
    const isPaused = Reflect.get(socket, '_paused') === true
    if (!parser || connections === undefined || isPaused) return false
    const lineAt = bytesParsed === 0 ? 0 : rawPacket.lastIndexOf(LF, bytesParsed - 1) + 1
    const lineEnd = rawPacket.indexOf(LF, bytesParsed)
    const [, method = '', target = '', version = ''] =
      requestLine.exec(rawPacket.toString('latin1', lineAt, lineEnd)) ?? []
    const isRaw = code === 'HPE_INVALID_URL' && methods.has(method)
    const isUnknown = code === 'HPE_INVALID_METHOD' && method !== ''
    if (!isRaw && !isUnknown) return false
    const escaped = target.replace(rawByte, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase()}`)
    written.set(socket, { method, target })
    parser.remove()
    parser.initialize(REQUEST, {}, Reflect.get(server, 'maxHeaderSize') as number, STRICT, connections)
    const line = `${isUnknown ? standInMethod : method} ${escaped}${version}`
    again.add(socket)
    try {
      socket.emit('data', Buffer.concat([Buffer.from(line), rawPacket.subarray(lineEnd)]))
    } finally {
      again.delete(socket)
    }
    return true
  }
}

function restore(req: IncomingMessage): void {
  const line = written.get(req.socket)
  if (line === undefined) return
  written.delete(req.socket)
  req.method = line.method
  req.url = line.target
}

/** Parsers go from one connection to the next. */
function follow(socket: Socket): void {
  const parser = parserOf(socket)
  if (!parser) return
  parser[0] = noteBegin
  if (parser[3] === noteBody) return
  takeBody = parser[3]
  parser[3] = noteBody
}

function parserOf(socket: Socket): Parser | null | undefined {
  return Reflect.get(socket, 'parser') as Parser | null | undefined
}

/** In which Node looks for heads that take too long. */
function connectionsOf(server: Server): object | undefined {
  const name = Object.getOwnPropertySymbols(server).find(({ description }) => description === 'http.server.connections')
  return name && (Reflect.get(server, name) as object | undefined)
}
