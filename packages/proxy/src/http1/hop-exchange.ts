import type { HopConnection } from './hop-connection.ts'
import { HopFault } from './hop-fault.ts'
import type { Exchange, HopHandler, HopRequest, RawFields } from './hop.ts'
import type { NoPlace } from './shared-places.ts'

/** One request and its answer. Has a connection from `begin` on; what is written before is kept. */
export class HopExchange implements Exchange {
  readonly request: HopRequest
  /** Whether all of the request has been handed over. */
  finished: boolean
  /** Set while it stands in line for a connection: takes it out. */
  leaveLine: (() => void) | undefined
  readonly #handler: HopHandler
  #connection: HopConnection | undefined
  #early: Buffer[] = []
  #trailers: RawFields = []
  /** How much of the body is still to be written. */
  #owed: number
  #over = false
  #aborted = false
  #paused = false

  constructor(request: HopRequest, handler: HopHandler) {
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
  begin(connection: HopConnection): void {
    this.#connection = connection
    connection.send(this)
    if (this.#owed === 0 && this.#early.length === 0) return
    const early = this.#early
    this.#early = []
    let flows = early.length > 0
    for (const chunk of early) flows = connection.sendBody(chunk)
    if (this.finished) connection.sendEnd(this.#trailers)
    // Later, because whoever calls this is in the middle of another exchange.
    else if (flows) queueMicrotask(() => this.#over || this.tell((handler) => handler.drained()))
  }

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

  pause(): void {
    this.#paused = true
    this.#connection?.pause()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#connection?.resume()
  }

  setAside(): NoPlace | undefined {
    return this.#connection?.setAside()
  }

  abort(): void {
    this.#aborted = true
    this.#giveUp()
  }

  fail(fault: HopFault): void {
    if (this.#over) return
    this.end()
    this.#tellFailed(fault)
  }

  /** From here on its owner can do nothing any more to the connection, which serves others. */
  end(): void {
    this.#over = true
    this.#connection = undefined
    this.leaveLine = undefined
    this.#early = []
  }

  /**
   * A handler that throws ends its own exchange, also if the answer had all come, and harms no other.
   * @returns whether it did not
   */
  tell(what: (handler: HopHandler) => void): boolean {
    try {
      what(this.#handler)
      return true
    } catch (error) {
      this.#giveUp()
      if (this.#aborted) throwLater(error)
      else this.#tellFailed(new HopFault('garbled', 'the answer could not be passed on', error))
      return false
    }
  }

  #giveUp(): void {
    if (this.#over) return
    const connection = this.#connection
    this.leaveLine?.()
    this.end()
    connection?.drop()
  }

  /** What follows on the connection would be read as part of this body, or the end of this body as a request. */
  #misstated(): void {
    this.#giveUp()
    const fault = new HopFault('garbled', 'the body of the request is not as long as was said')
    queueMicrotask(() => this.#tellFailed(fault))
  }

  #tellFailed(fault: HopFault): void {
    if (this.#aborted) return
    try {
      this.#handler.failed(fault)
    } catch (error) {
      throwLater(error)
    }
  }
}

/** For what nobody is left to be told of. Thrown where no other exchange is under way. */
function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error
  })
}
