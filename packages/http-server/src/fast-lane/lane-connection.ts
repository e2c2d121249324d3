import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'
import type { ConnectionTracker } from '../connection-tracker.ts'
import { readTurns } from '../read-turns.ts'
import type { HeadReader, RequestHead } from './request-head.ts'

/**
 * Answers a request at once, or not at all.
 * @param connectionFields to be among the fields of the answer
 * @returns the whole answer in latin1; undefined: node:http has to answer
 */
export type LaneAnswer = (request: RequestHead, connectionFields: string) => string | undefined

/** What the connections of a server have in common. */
export interface Lane {
  readonly server: Server
  readonly answer: LaneAnswer
  readonly heads: HeadReader
  readonly connections: ConnectionTracker
  /** `Date`, and what a client is told about a connection that stays. */
  readonly connectionFields: () => string
  /** Has node:http listen on the connection, as it would have done from the start. */
  readonly attachHttp: (socket: Socket) => void
}

/** Requests of one connection that are answered before other connections have their turn. */
const maxAtOnce = 32
/** Of requests that are left then: so far ahead is no client that waits for its answers. */
const muchLength = 16_384
/** Of answers, in one write. */
const maxWriteLength = 65_536
/** `never`: the end of the request is not known, so nothing can tell whether more than it was read. */
const never = -1

type DataListener = (chunk: Buffer) => void

/**
 * A connection that is read here or by node:http, never by both. It keeps no bytes: what is not answered at once is
 * handed over.
 */
export class LaneConnection {
  readonly #lane: Lane
  readonly #socket: Socket
  #isAnswered = false
  /** Whether the tracker takes it for idle, as it is after every read that leaves nothing. */
  #isIdle = false
  /** Of node:http, since it had the connection for the first time. */
  #httpListener: DataListener | undefined
  /** Where the head that was handed over ends, by `bytesRead` of the connection. */
  #headEnd = never

  constructor(lane: Lane, socket: Socket) {
    this.#lane = lane
    this.#socket = socket
    // As node:http, which has a timer of its own for a connection that brings no request.
    socket.setTimeout(lane.server.headersTimeout, this.#expired)
    socket.on('error', ignored).on('end', endToo).on('data', this.#read)
  }

  /** After an answer of node:http: the next request is read here if node:http has read this one and not a byte more. */
  takeBack(req: IncomingMessage): void {
    const socket = this.#socket
    const headEnd = this.#headEnd
    this.#headEnd = never
    if (headEnd === never || !req.complete || req.headers['transfer-encoding'] !== undefined) return
    const end = headEnd + Number(req.headers['content-length'] ?? 0)
    if (socket.bytesRead !== end || socket.readableLength > 0 || !socket.readable || !socket.writable) return
    if (this.#lane.connections.pending(socket) !== undefined) return
    const [listener, ...others] = socket.listeners('data')
    if (listener === undefined || others.length > 0) return
    this.#httpListener = listener as DataListener
    socket.off('data', this.#httpListener).on('data', this.#read)
  }

  readonly #read = (chunk: Buffer): void => {
    const { answer, heads, connections } = this.#lane
    // Refused; what still comes is not read.
    if (!this.#socket.writable) return
    // The last answers say that the connection ends, which node:http sees to.
    if (connections.isLeaving) return this.#hand(chunk)
    const text = chunk.toString('latin1')
    const fields = this.#lane.connectionFields()
    let answers = ''
    let at = 0
    for (let count = 0; at < text.length && count < maxAtOnce && answers.length < maxWriteLength; count += 1) {
      const head = heads.read(text, at)
      const next = head && answer({ url: head.url, headers: head.headers, socket: this.#socket }, fields)
      if (head === undefined || next === undefined) {
        if (answers !== '') this.#write(answers)
        return this.#hand(chunk.subarray(at))
      }
      answers += next
      at = head.end
    }
    const isDrained = this.#write(answers)
    if (!isDrained || at < text.length) this.#readOnLater(chunk.subarray(at), isDrained)
  }

  /** @returns whether the client takes more */
  #write(answers: string): boolean {
    if (!this.#isIdle) this.#answered()
    return this.#socket.write(answers, 'latin1')
  }

  #answered(): void {
    const { connections, server } = this.#lane
    this.#isIdle = true
    connections.answered(this.#socket)
    if (this.#isAnswered) return
    this.#isAnswered = true
    this.#socket.setTimeout(server.keepAliveTimeout + server.keepAliveTimeoutBuffer)
  }

  #readOnLater(rest: Buffer, isDrained: boolean): void {
    const socket = this.#socket
    socket.pause()
    if (rest.length > 0) {
      this.#isIdle = false
      this.#lane.connections.unanswered(socket)
      socket.unshift(rest)
      if (rest.length >= muchLength) readTurns.restOthers(socket)
    }
    const readOn = (): void => void socket.resume()
    if (isDrained) setImmediate(readOn)
    else socket.once('drain', readOn)
  }

  /** Hands over to node:http what was read, and what is to come. */
  #hand(bytes: Buffer): void {
    const socket = this.#socket
    const headLength = bytes.indexOf('\r\n\r\n') + 4
    const isWhole = headLength >= 4 && socket.readableLength === 0
    this.#headEnd = isWhole ? socket.bytesRead - bytes.length + headLength : never
    socket.off('data', this.#read)
    if (this.#httpListener === undefined) this.#attachHttp()
    else socket.on('data', this.#httpListener)
    socket.emit('data', bytes)
  }

  #attachHttp(): void {
    this.#isAnswered = true
    this.#socket.setTimeout(0)
    this.#socket.off('timeout', this.#expired).off('error', ignored).off('end', endToo)
    this.#lane.attachHttp(this.#socket)
  }

  /** Of a connection that node:http has not seen. */
  readonly #expired = (): void => {
    const { server } = this.#lane
    if (this.#isAnswered) this.#socket.destroy()
    else server.emit('clientError', requestTimeout(), this.#socket)
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
