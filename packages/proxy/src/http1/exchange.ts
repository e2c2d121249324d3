import { UpstreamFault } from './upstream-fault.ts'
import type { ExchangeHandler, RawFields, UpstreamRequest } from './exchange-types.ts'
import type { QuotaRefusal } from './shared-quota.ts'

interface ExchangeConnection {
  send(exchange: Exchange): void
  sendBody(chunk: Buffer): boolean
  sendEnd(trailers: RawFields): void
  pause(): void
  resume(): void
  setAside(): QuotaRefusal | undefined
  drop(): void
}

/**
 * One request and its answer. It has a connection from `begin` on; what is written before that is kept. Once it is over,
 * all of its methods do nothing.
 */
export class Exchange {
  readonly request: UpstreamRequest
  /** Whether all of the request has been handed over. */
  finished: boolean
  /** Whether its connection has carried another one before. */
  isReused = false
  /** Set while it stands in line for a connection: takes it out. */
  leaveQueue: (() => void) | undefined
  readonly #handler: ExchangeHandler
  #connection: ExchangeConnection | undefined
  #early: Buffer[] = []
  #trailers: RawFields = []
  /** How much of the body is still to be written. */
  #owed: number
  #over = false
  #aborted = false
  #paused = false

  constructor(request: UpstreamRequest, handler: ExchangeHandler) {
    const { body } = request
    this.request = request
    this.#handler = handler
    this.#owed = body === 'chunked' ? Infinity : body === 'none' ? 0 : body
    this.finished = this.#owed === 0
  }

  get over(): boolean {
    return this.#over
  }

  get paused(): boolean {
    return this.#paused
  }

  /** The request goes out over this connection now. */
  begin(connection: ExchangeConnection): void {
    this.#connection = connection
    connection.send(this)
    if (this.#owed === 0 && this.#early.length === 0) return
    const early = this.#early
    this.#early = []
    let flows = early.length > 0
    for (const chunk of early) flows = connection.sendBody(chunk)
    if (this.finished) connection.sendEnd(this.#trailers)
    // Later, because the caller is in the middle of another exchange.
    else if (flows) queueMicrotask(() => this.#over || this.tell((handler) => handler.drained()))
  }

  /**
   * Sends a part of the request's body. False: wait for `drained`. To write more than the request announced, or to
   * finish with less, fails the exchange.
   */
  write(chunk: Buffer): boolean {
    if (this.#over || chunk.length === 0) return true
    if (this.finished || chunk.length > this.#owed) {
      this.#misstated()
      return true
    }
    this.#owed -= chunk.length
    if (this.#connection) return this.#connection.sendBody(chunk)
    this.#early.push(chunk)
    return false
  }

  /** Ends the request's body. Forbidden trailers are left out (RFC 9110 §6.5.1). */
  finish(trailers: RawFields = []): void {
    if (this.#over || this.finished) return
    if (this.#owed > 0 && this.request.body !== 'chunked') {
      this.#misstated()
      return
    }
    this.finished = true
    if (this.#connection) this.#connection.sendEnd(trailers)
    else this.#trailers = trailers
  }

  /** Stops the flow of the answer's body. What has been read already may still come. */
  pause(): void {
    this.#paused = true
    this.#connection?.pause()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#connection?.resume()
  }

  /**
   * Takes one of the slots for long exchanges, and leaves its ordinary one to others.
   * @returns why not, when there is no such slot; the exchange then stays where it is
   */
  setAside(): QuotaRefusal | undefined {
    return this.#connection?.setAside()
  }

  /** The answer is not wanted any more: closes the connection. The handler is not called again. */
  abort(): void {
    this.#aborted = true
    this.#giveUp()
  }

  fail(fault: UpstreamFault): void {
    if (this.#over) return
    this.end()
    this.#tellFailed(fault)
  }

  /** From here on its owner can do nothing any more to the connection, which serves others. */
  end(): void {
    this.#over = true
    this.#connection = undefined
    this.leaveQueue = undefined
    this.#early = []
  }

  /** A handler that throws ends its exchange, even a complete one, and harms no other. @returns whether it did not */
  tell(what: (handler: ExchangeHandler) => void): boolean {
    try {
      what(this.#handler)
      return true
    } catch (error) {
      this.#giveUp()
      if (this.#aborted) throwLater(error)
      else this.#tellFailed(new UpstreamFault('garbled', 'the answer could not be passed on', error))
      return false
    }
  }

  #giveUp(): void {
    if (this.#over) return
    const connection = this.#connection
    this.leaveQueue?.()
    this.end()
    connection?.drop()
  }

  /** What follows on the connection would be read as part of this body, or the end of this body as a request. */
  #misstated(): void {
    this.#giveUp()
    const fault = new UpstreamFault('garbled', 'the body of the request is not as long as was said')
    queueMicrotask(() => this.#tellFailed(fault))
  }

  #tellFailed(fault: UpstreamFault): void {
    if (this.#aborted) return
    try {
      this.#handler.failed(fault)
    } catch (error) {
      throwLater(error)
    }
  }
}

/** For an error that no handler can be told of. Thrown where no other exchange is under way. */
function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error
  })
}
