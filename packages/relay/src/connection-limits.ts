import type { Server, Socket } from 'node:net'

export interface ConnectionLimitsOptions {
  readonly maxConnections: number
  /** 0: no limit. */
  readonly maxPerClient: number
  /** Whose connections carry the requests of many. */
  readonly isTrusted: (address: string) => boolean
  readonly addressOf: (socket: Socket) => string
}

/** How many connections there may be, in all and from one client. Those over it are closed without a word. */
export class ConnectionLimits {
  /** Connections that were closed because there were too many. */
  refused = 0
  #open = 0
  #options: ConnectionLimitsOptions
  readonly #byClient = new Map<string, number>()
  readonly #onClose: (this: Socket) => void

  constructor(server: Server, options: ConnectionLimitsOptions) {
    this.#options = options
    const forget = (socket: Socket): void => this.#forget(options.addressOf(socket))
    // One for all connections; the address is known to a socket also when it is closed.
    this.#onClose = function (this: Socket) {
      forget(this)
    }
    server.on('connection', (socket) => this.#count(socket))
  }

  get open(): number {
    return this.#open
  }

  configure(options: ConnectionLimitsOptions): void {
    this.#options = options
  }

  #count(socket: Socket): void {
    const { maxConnections, maxPerClient, isTrusted, addressOf } = this.#options
    const address = addressOf(socket)
    const ofClient = this.#byClient.get(address) ?? 0
    const isOver = maxPerClient > 0 && ofClient >= maxPerClient && !isTrusted(address)
    if (isOver || this.#open >= maxConnections) {
      this.refused += 1
      socket.destroy()
      return
    }
    this.#open += 1
    this.#byClient.set(address, ofClient + 1)
    socket.on('close', this.#onClose)
  }

  #forget(address: string): void {
    this.#open -= 1
    const left = (this.#byClient.get(address) ?? 1) - 1
    if (left > 0) this.#byClient.set(address, left)
    else this.#byClient.delete(address)
  }
}
