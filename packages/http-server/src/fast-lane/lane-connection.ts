import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'
import type { ConnectionTracker } from '../connection-tracker.ts'
import type { HeadReader } from './request-head.ts'

/** Field lines for every answer on a connection that stays. */
export interface ConnectionFields {
  /** RFC 9110 §6.6.1. Not where an answer has one already. */
  readonly date: string
  /** What the client is told about the connection, as node:http says it. */
  readonly connection: string
  /** Both. */
  readonly all: string
}

/** What the connections of a server have in common. */
export interface Lane {
  readonly server: Server
  readonly heads: HeadReader
  readonly connections: ConnectionTracker
  readonly connectionFields: () => ConnectionFields
  /** Has node:http listen on the connection, as it would have done from the start. */
  readonly attachHttp: (socket: Socket) => void
}

/** `never`: the end of the request is not known, so nothing can tell whether more than it was read. */
const never = -1

type DataListener = (chunk: Buffer) => void

/** A connection that is read here or by node:http, never by both. What is not read here is handed over as it came. */
export abstract class LaneConnection {
  protected readonly lane: Lane
  protected readonly socket: Socket
  #isAnswered = false
  /** Whether the tracker takes it for idle, as it is after every read that leaves nothing. */
  #isIdle = false
  /** Of node:http, since it had the connection for the first time. */
  #httpListener: DataListener | undefined
  /** Where the head that was handed over ends, by `bytesRead` of the connection. */
  #headEnd = never

  constructor(lane: Lane, socket: Socket) {
    this.lane = lane
    this.socket = socket
    // As node:http, which has a timer of its own for a connection that brings no request.
    socket.setTimeout(lane.server.headersTimeout, this.#expired)
    socket.on('error', ignored).on('end', endToo).on('data', this.#onData)
  }

  /** Answers what it can of the bytes, and hands over the rest. */
  protected abstract read(chunk: Buffer): void

  /** Whether an answer is under way, for whose time others are responsible. */
  protected get isBusy(): boolean {
    return false
  }

  /** Whether node:http has listeners on the connection. */
  protected get isShared(): boolean {
    return this.#httpListener !== undefined
  }

  /** After an answer of node:http: the next request is read here if node:http has read this one and not a byte more. */
  takeBack(req: IncomingMessage): void {
    const { socket } = this
    const headEnd = this.#headEnd
    this.#headEnd = never
    if (headEnd === never || !req.complete || req.headers['transfer-encoding'] !== undefined) return
    const end = headEnd + Number(req.headers['content-length'] ?? 0)
    if (socket.bytesRead !== end || socket.readableLength > 0 || !socket.readable || !socket.writable) return
    if (this.lane.connections.pending(socket) !== undefined) return
    const [listener, ...others] = socket.listeners('data')
    if (listener === undefined || others.length > 0) return
    this.#httpListener = listener as DataListener
    socket.off('data', this.#httpListener).on('data', this.#onData)
  }

  readonly #onData = (chunk: Buffer): void => {
    // Refused; what still comes is not read.
    if (!this.socket.writable) return
    // The last answers say that the connection ends, which node:http sees to.
    if (this.lane.connections.isLeaving && !this.isBusy) this.hand(chunk)
    else this.read(chunk)
  }

  /** All that was asked so far is answered. */
  protected idle(): void {
    const { connections, server } = this.lane
    if (this.#isIdle) return
    this.#isIdle = true
    connections.note(this.socket, 'answered')
    if (this.#isAnswered) return
    this.#isAnswered = true
    this.socket.setTimeout(server.keepAliveTimeout + server.keepAliveTimeoutBuffer)
  }

  protected busy(): void {
    if (!this.#isIdle) return
    this.#isIdle = false
    this.lane.connections.note(this.socket, 'new')
  }

  /** Hands over to node:http what was read, and what is to come. */
  protected hand(bytes: Buffer): void {
    const { socket } = this
    const headLength = bytes.indexOf('\r\n\r\n') + 4
    const isWhole = headLength >= 4 && socket.readableLength === 0
    this.#headEnd = isWhole ? socket.bytesRead - bytes.length + headLength : never
    socket.off('data', this.#onData)
    if (this.#httpListener === undefined) this.#attachHttp()
    else socket.on('data', this.#httpListener)
    socket.emit('data', bytes)
  }

  #attachHttp(): void {
    this.#isAnswered = true
    this.socket.setTimeout(0)
    this.socket.off('timeout', this.#expired).off('error', ignored).off('end', endToo)
    this.lane.attachHttp(this.socket)
  }

  /** Of a connection that node:http has not seen. What came while this process stood still is read before it counts as late. */
  readonly #expired = (): void => void setImmediate(this.#endSilent, this.socket.bytesRead)

  readonly #endSilent = (bytesRead: number): void => {
    if (this.isBusy || this.socket.destroyed || this.socket.bytesRead > bytesRead) return
    if (this.#isAnswered) this.socket.destroy()
    else this.lane.server.emit('clientError', requestTimeout(), this.socket)
  }
}

/** As node:http tells it. */
function requestTimeout(): NodeJS.ErrnoException {
  return Object.assign(new Error('Request timeout'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' })
}

/** What follows an error is `close`. */
function ignored(): void {}

/** All that the client has asked is answered. */
function endToo(this: Socket): void {
  this.end()
}
