import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { readTurns } from '../read-turns.ts'
import { type ConnectionFields, type Lane, LaneConnection } from './lane-connection.ts'
import type { ReadFields, ReadHead } from './request-head.ts'

/** Answers a request, now or later. The request has no body. */
export type LaneServe = (req: IncomingMessage, exchange: LaneExchange) => void

/** The way back to the client of one request. It is answered either by `end` or by `response`. */
export interface LaneExchange {
  /** Whether `end` may be used: it cannot say that the connection ends. */
  readonly staysOpen: boolean
  readonly socket: Socket
  connectionFields(): ConnectionFields
  /** The whole answer, in latin1. */
  end(answer: string): void
  /** For every other answer, as node:http would have made it. */
  response(): ServerResponse
  /**
   * An object, not a function: a closure that is kept here makes V8 14 (Node 26.10) hold the request until the next full
   * collection, which doubles what its collector does.
   */
  listener: LaneListener
}

export interface LaneListener {
  /** The client has taken what `end` gave and did not find room for at once, or has left. */
  closed(): void
}

/** Bytes behind a request that wait for its answer. Beyond them nothing is read. */
const maxHeldBytes = 65_536

/** A connection whose requests are served one at a time. One with anything behind it in the same read is for node:http. */
export class ServingConnection extends LaneConnection {
  readonly #serve: LaneServe
  /** Only fields that are expected to come again. */
  #lastFields: ReadFields | undefined
  #exchange: Exchange | undefined
  #held: Buffer[] = []
  #heldBytes = 0

  constructor(lane: Lane, socket: Socket, serve: LaneServe) {
    super(lane, socket)
    this.#serve = serve
    socket.on('close', () => this.#exchange?.listener.closed())
  }

  protected override get isBusy(): boolean {
    return this.#exchange !== undefined
  }

  protected read(chunk: Buffer): void {
    if (this.#exchange !== undefined) return this.#hold(chunk)
    const head = this.lane.heads.read(chunk.toString('latin1'), 0, this.#lastFields)
    if (head?.end !== chunk.length) return this.hand(chunk)
    if (head.fields.lines !== undefined) this.#lastFields = head.fields
    this.busy()
    // The time that node:http gives to an idle connection is not that of an answer.
    if (this.isShared) this.socket.setTimeout(0)
    const req = new PlainRequest(head, this.socket)
    this.#exchange = new Exchange(this.lane, req, this.isShared, this.#over)
    this.#serve(req as unknown as IncomingMessage, this.#exchange)
  }

  #hold(chunk: Buffer): void {
    this.#held.push(chunk)
    this.#heldBytes += chunk.length
    if (this.#heldBytes < maxHeldBytes) return
    readTurns.restOthers(this.socket)
    this.socket.pause()
  }

  readonly #over = (): void => {
    const { server } = this.lane
    this.#exchange = undefined
    if (this.isShared) this.socket.setTimeout(server.keepAliveTimeout + server.keepAliveTimeoutBuffer)
    this.idle()
    // Later, because the caller is in the middle of an answer.
    if (this.#held.length > 0) process.nextTick(this.#handHeld)
  }

  readonly #handHeld = (): void => {
    const bytes = Buffer.concat(this.#held)
    this.#held = []
    this.#heldBytes = 0
    this.busy()
    if (this.socket.isPaused()) this.socket.resume()
    if (this.socket.writable) this.hand(bytes)
  }
}

/** One request under way. */
class Exchange implements LaneExchange {
  listener = noListener
  readonly socket: Socket
  readonly #lane: Lane
  readonly #req: PlainRequest
  readonly #isShared: boolean
  readonly #over: () => void
  #res: ServerResponse | undefined

  constructor(lane: Lane, req: PlainRequest, isShared: boolean, over: () => void) {
    this.socket = req.socket
    this.#lane = lane
    this.#req = req
    this.#isShared = isShared
    this.#over = over
  }

  get staysOpen(): boolean {
    return this.#res === undefined && !this.#lane.connections.isLeaving
  }

  connectionFields(): ConnectionFields {
    return this.#lane.connectionFields()
  }

  end(answer: string): void {
    const { socket } = this
    if (!socket.writable) return
    socket.write(answer, 'latin1')
    if (!socket.writableNeedDrain) return this.#over()
    socket.once('drain', () => {
      this.#over()
      this.listener.closed()
    })
  }

  response(): ServerResponse {
    if (this.#res !== undefined) return this.#res
    const { socket } = this
    const { server, connections } = this.#lane
    const res = new ServerResponse(this.#req as unknown as IncomingMessage)
    this.#res = res
    // What node:http does for those that it makes (Node 26, lib/_http_server.js).
    Object.assign(res, { ['_keepAliveTimeout']: server.keepAliveTimeout })
    const onDrain = (): boolean => res.emit('drain')
    if (!this.#isShared) socket.on('drain', onDrain)
    res.assignSocket(socket)
    connections.note(socket, res)
    res.once('finish', () => {
      socket.off('drain', onDrain)
      res.detachSocket(socket)
      if (res.shouldKeepAlive) this.#over()
      else socket.destroySoon()
      res.emit('close')
    })
    return res
  }
}

const noListener: LaneListener = { closed() {} }

/** What is read of a request without a body, in the place of an IncomingMessage, which takes several times as long to make. */
class PlainRequest {
  readonly httpVersion = '1.1'
  readonly httpVersionMajor = 1
  readonly httpVersionMinor = 1
  readonly complete = true
  readonly method: string
  readonly url: string
  readonly headers: ReadFields['headers']
  readonly rawHeaders: readonly string[]
  readonly socket: Socket

  constructor({ method, url, fields }: ReadHead, socket: Socket) {
    this.method = method
    this.url = url
    this.headers = fields.headers
    this.rawHeaders = fields.rawHeaders
    this.socket = socket
  }

  /** Nothing is left to read. */
  resume(): this {
    return this
  }
}
