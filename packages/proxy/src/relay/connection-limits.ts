import type { Server, Socket } from 'node:net'
import { Counts } from '@ipfleet/core/counts.ts'
import type { QuotaRefusal } from '../http1/shared-quota.ts'

export interface ConnectionLimitsOptions {
  readonly maxConnections: number
  /** 0: no limit. */
  readonly maxPerClient: number
  /** Whose connections carry the requests of many. */
  readonly isTrusted: (address: string) => boolean
  readonly addressOf: (socket: Socket) => string
  /** Told of each connection that is closed because there are too many, of all clients or of this one. */
  readonly onRefused?: (why: QuotaRefusal) => void
}

/**
 * How many connections there may be, in all and from one client. Those over it are closed without a word. Streams of
 * HTTP/2 count like connections, and are refused by the server of HTTP/2.
 */
export class ConnectionLimits {
  /** Connections that were closed because there were too many. */
  refused = 0
  #connections = 0
  /** Connections and streams. */
  #taken = 0
  #options: ConnectionLimitsOptions
  readonly #byClient = new Counts()
  readonly #onClose: (this: Socket) => void

  constructor(server: Server, options: ConnectionLimitsOptions) {
    this.#options = options
    const forget = (socket: Socket): void => {
      this.#connections -= 1
      this.#forget(options.addressOf(socket))
    }
    // One for all connections; the address is known to a socket also when it is closed.
    this.#onClose = function (this: Socket) {
      forget(this)
    }
    server.on('connection', (socket) => this.#count(socket))
  }

  get open(): number {
    return this.#connections
  }

  /** Counts a stream of this client, unless there are too many; then it says of whom. */
  openStream(address: string): QuotaRefusal | undefined {
    const refusal = this.#refusal(address)
    if (refusal === undefined) this.#add(address)
    return refusal
  }

  closeStream(address: string): void {
    this.#forget(address)
  }

  configure(options: ConnectionLimitsOptions): void {
    this.#options = options
  }

  #count(socket: Socket): void {
    const address = this.#options.addressOf(socket)
    const refusal = this.#refusal(address)
    if (refusal !== undefined) {
      this.refused += 1
      this.#options.onRefused?.(refusal)
      socket.destroy()
      return
    }
    this.#add(address)
    this.#connections += 1
    socket.on('close', this.#onClose)
  }

  #refusal(address: string): QuotaRefusal | undefined {
    const { maxConnections, maxPerClient, isTrusted } = this.#options
    if (this.#taken >= maxConnections) return 'all'
    const isOver = maxPerClient > 0 && this.#byClient.of(address) >= maxPerClient
    return isOver && !isTrusted(address) ? 'client' : undefined
  }

  #add(address: string): void {
    this.#taken += 1
    this.#byClient.add(address, 1)
  }

  #forget(address: string): void {
    this.#taken -= 1
    this.#byClient.add(address, -1)
  }
}
