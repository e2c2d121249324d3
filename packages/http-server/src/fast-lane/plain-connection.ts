import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { readTurns } from '../read-turns.ts'
import { type Lane, LaneConnection } from './lane-connection.ts'
import { Exchange, type LaneExchange, PlainRequest } from './lane-exchange.ts'
import type { ReadFields, ReadHead, RequestHead } from './request-head.ts'

/** What is done with plain requests; what is neither answered nor served is for node:http. */
export interface LaneHandlers {
  /**
   * Answers a request at once, or not at all.
   * @param connectionFields to be among the fields of the answer
   * @returns the whole answer in latin1
   */
  readonly answer?: (request: RequestHead, connectionFields: string) => string | undefined
  /** Which requests `serve` is given, of those that were not answered at once. Default: all. */
  readonly takes?: (head: ReadHead) => boolean
  /** Answers a request, now or later. The request has no body. */
  readonly serve?: (req: IncomingMessage, exchange: LaneExchange) => void
}

/** Requests of one connection that are answered before other connections have their turn. */
const maxAtOnce = 32
/** Of requests that are left then: so far ahead is no client that waits for its answers. */
const muchLength = 16_384
/** Of answers, in one write. */
const maxWriteLength = 65_536
/** Bytes behind a request that wait for its answer. Beyond them nothing is read. */
const maxHeldBytes = 65_536

/**
 * A connection whose requests are answered as they are read, or else served one at a time. A request that would have to be
 * served, with anything behind it in the same read, is for node:http.
 */
export class PlainConnection extends LaneConnection {
  readonly #handlers: LaneHandlers
  /** Only fields that are expected to come again. */
  #lastFields: ReadFields | undefined
  /** Of the request that is being served. */
  #exchange: Exchange | undefined
  #held: Buffer[] = []
  #heldBytes = 0

  constructor(lane: Lane, socket: Socket, handlers: LaneHandlers) {
    super(lane, socket)
    this.#handlers = handlers
    if (handlers.serve) socket.on('close', () => this.#exchange?.listener.closed())
  }

  protected override get isBusy(): boolean {
    return this.#exchange !== undefined
  }

  protected read(chunk: Buffer): void {
    if (this.#exchange !== undefined) return this.#hold(chunk)
    const { lane, socket } = this
    const text = chunk.toString('latin1')
    let answers = ''
    let at = 0
    for (let count = 0; at < text.length && count < maxAtOnce && answers.length < maxWriteLength; count += 1) {
      const head = lane.heads.read(text, at, this.#lastFields)
      if (head?.fields.lines !== undefined) this.#lastFields = head.fields
      // Its arguments are not made where nothing answers at once.
      const next =
        head &&
        this.#handlers.answer?.({ url: head.url, headers: head.fields.headers, socket }, lane.connectionFields().all)
      if (head === undefined || next === undefined) {
        if (answers !== '') this.#write(answers)
        const isLast = head?.end === text.length
        return isLast && this.#serves(head) ? undefined : this.hand(chunk.subarray(at))
      }
      answers += next
      at = head.end
    }
    const isDrained = this.#write(answers)
    if (!isDrained || at < text.length) this.#readOnLater(chunk.subarray(at), isDrained)
  }

  /** @returns whether the client takes more */
  #write(answers: string): boolean {
    this.idle()
    return this.socket.write(answers, 'latin1')
  }

  #readOnLater(rest: Buffer, isDrained: boolean): void {
    const { socket } = this
    socket.pause()
    if (rest.length > 0) {
      this.busy()
      socket.unshift(rest)
      if (rest.length >= muchLength) readTurns.restOthers(socket)
    }
    const readOn = (): void => void socket.resume()
    if (isDrained) setImmediate(readOn)
    else socket.once('drain', readOn)
  }

  /** @returns whether it is served here */
  #serves(head: ReadHead): boolean {
    const { takes, serve } = this.#handlers
    if (serve === undefined || takes?.(head) === false) return false
    this.busy()
    // The time that node:http gives to an idle connection is not that of an answer.
    if (this.isShared) this.socket.setTimeout(0)
    const req = new PlainRequest(head, this.socket)
    this.#exchange = new Exchange(this.lane, req, this.isShared, this.#over)
    serve(req as unknown as IncomingMessage, this.#exchange)
    return true
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
