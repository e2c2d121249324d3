import type { HopConnection } from './hop-connection.ts'
import { HopFault } from './hop-fault.ts'
import type { Exchange, HopHandler, HopRequest, RawFields } from './hop.ts'

/** One request and its answer. Has a connection from `begin` on; what is written before is kept. */
export class HopExchange implements Exchange {
  readonly request: HopRequest
  readonly handler: HopHandler
  /** Whether all of the request has been handed over. */
  finished: boolean
  #connection: HopConnection | undefined
  #early: Buffer[] = []
  #trailers: RawFields = []
  #over = false
  #paused = false

  constructor(request: HopRequest, handler: HopHandler) {
    this.request = request
    this.handler = handler
    this.finished = request.body === 'none' || request.body === 0
  }

  get over(): boolean {
    return this.#over
  }

  /** The request goes out over this connection now. */
  begin(connection: HopConnection): void {
    this.#connection = connection
    connection.send(this)
    if (this.#early.length === 0) return
    let flows = true
    for (const chunk of this.#early) flows = connection.sendBody(chunk)
    this.#early = []
    if (this.finished) connection.sendEnd(this.#trailers)
    else if (flows) this.handler.drained()
  }

  write(chunk: Buffer): boolean {
    if (this.#over) return true
    if (this.#connection) return this.#connection.sendBody(chunk)
    this.#early.push(chunk)
    return false
  }

  finish(trailers: RawFields = []): void {
    if (this.#over || this.finished) return
    this.finished = true
    if (this.#connection) this.#connection.sendEnd(trailers)
    else this.#trailers = trailers
  }

  pause(): void {
    this.#paused = true
    if (!this.#over) this.#connection?.pause()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    if (!this.#over) this.#connection?.resume()
  }

  abort(): void {
    if (this.#over) return
    this.#over = true
    this.#early = []
    this.#connection?.drop()
  }

  fail(fault: HopFault): void {
    if (this.#over) return
    this.end()
    this.handler.failed(fault)
  }

  /** From here on its owner can do nothing any more to the connection, which serves others. */
  end(): void {
    this.#over = true
    this.#connection = undefined
    this.#early = []
  }
}
