import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { http } from '@ipfleet/core/node-http.ts'
import type { ConnectionFields, Lane } from './lane-connection.ts'
import type { ReadFields, ReadHead } from './request-head.ts'

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

export class Exchange implements LaneExchange {
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
    const res = new http.ServerResponse(this.#req as unknown as IncomingMessage)
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
export class PlainRequest {
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
