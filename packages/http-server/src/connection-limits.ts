import type { Server, Socket } from 'node:net'
import { Counts } from '@ipfleet/core/counts.ts'
import { addressSubject } from '@ipfleet/net/address-subject.ts'
import { UnorderedList } from '@ipfleet/core/unordered-list.ts'
import { plainAddress } from '@ipfleet/net/client-address.ts'

/** Why nothing can be taken: all is taken, or the client holds as much as one client may. */
export type QuotaRefusal = 'all' | 'client'

export interface ConnectionLimitsOptions {
  /** Not given: no limit of all. */
  readonly maxConnections?: number
  /** Of one address (IPv6: each /64). 0: no limit. */
  readonly maxPerClient: number
  /** Proxies, whose connections carry the requests of many clients. They count among all only. Not given: none. */
  readonly isTrusted?: (address: string) => boolean
  /** Told of each connection that is closed because there are too many, of all clients or of this one. */
  readonly onRefused?: (why: QuotaRefusal) => void
}

const openPlace = Symbol('place among the open connections')

/**
 * How many connections there may be, in all and from one client. Those over it are closed before anything
 * is read of them. Streams of
 * HTTP/2 count like connections, and are refused by the server of HTTP/2.
 */
export class ConnectionLimits {
  /** Connections that were closed because there were too many. */
  refused = 0
  readonly #open = new UnorderedList<Socket>(openPlace)
  /** Connections and streams. */
  #taken = 0
  #options: ConnectionLimitsOptions
  readonly #byClient = new Counts()
  readonly #onClose: (this: Socket) => void

  constructor(options: ConnectionLimitsOptions) {
    this.#options = options
    const forget = (socket: Socket): void => {
      this.#open.delete(socket)
      this.#forget(plainAddress(socket.remoteAddress))
    }
    // One for all connections; the address is known to a socket also when it is closed.
    this.#onClose = function (this: Socket) {
      forget(this)
    }
  }

  /** From now on the connections of this server count. */
  watch(server: Server): this {
    server.on('connection', (socket: Socket) => this.#count(socket))
    return this
  }

  get open(): number {
    return this.#open.size
  }

  destroyAll(): void {
    for (const socket of this.#open) socket.destroy()
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
    const address = plainAddress(socket.remoteAddress)
    const refusal = this.#refusal(address)
    if (refusal !== undefined) {
      this.refused += 1
      this.#options.onRefused?.(refusal)
      socket.destroy()
      return
    }
    this.#add(address)
    this.#open.add(socket)
    socket.on('close', this.#onClose)
  }

  #refusal(address: string): QuotaRefusal | undefined {
    const { maxConnections = Infinity, maxPerClient, isTrusted } = this.#options
    if (this.#taken >= maxConnections) return 'all'
    const isOver = maxPerClient > 0 && this.#byClient.of(addressSubject(address)) >= maxPerClient
    return isOver && isTrusted?.(address) !== true ? 'client' : undefined
  }

  #add(address: string): void {
    this.#taken += 1
    this.#byClient.add(addressSubject(address), 1)
  }

  #forget(address: string): void {
    this.#taken -= 1
    this.#byClient.add(addressSubject(address), -1)
  }
}
