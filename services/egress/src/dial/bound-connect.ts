import { connect, type OnReadOpts, type Socket, type TcpNetConnectOpts } from 'node:net'
import type { Clock } from '@ipfleet/core/clock.ts'
import type { SourceConnections } from '../sources/source-connections.ts'
import type { Source } from '../sources/source-pool.ts'
import { connectFailure } from './connect-failure.ts'
import type { LocalPorts } from './local-ports.ts'

export interface BoundConnectDeps {
  readonly ports: LocalPorts
  readonly clock: Clock
  /** Told of each socket that is bound. */
  readonly connections: SourceConnections
}

export interface Route {
  readonly source: Source
  readonly address: string
  readonly port: number
  readonly onread: OnReadOpts | undefined
}

export type ConnectEnd =
  /** Since the first attempt at a port. */
  | { readonly kind: 'connected'; readonly socket: Socket; readonly durationMs: number }
  | { readonly kind: 'target_failed' | 'own_lack'; readonly code: string }
  | { readonly kind: 'not_ours' | 'no_ports' }

/** Attempts at local ports before a source is said to have none for a target. */
const maxPorts = 16

/**
 * A connection in the making from one source to one address. Tells once how it ended, after the constructor has
 * returned; one that is stopped tells nothing. A socket that it hands over carries no listener of it.
 */
export class BoundConnect {
  readonly #deps: BoundConnectDeps
  readonly #route: Route
  readonly #told: (end: ConnectEnd) => void
  readonly #startedMs: number
  #socket: Socket
  #portsTried = 1

  constructor(deps: BoundConnectDeps, route: Route, told: (end: ConnectEnd) => void) {
    this.#deps = deps
    this.#route = route
    this.#told = told
    this.#startedMs = deps.clock.nowMs()
    this.#socket = this.#open(deps.ports.next())
  }

  stop(): void {
    this.#unlisten()
    // It may have failed already, and be about to say so.
    this.#socket.on('error', () => {}).destroy()
  }

  get #isBound(): boolean {
    return this.#route.source.address !== ''
  }

  #open(port: number): Socket {
    const { source, address, port: targetPort, onread } = this.#route
    const to: TcpNetConnectOpts = { host: address, port: targetPort, allowHalfOpen: true, noDelay: true }
    if (onread) to.onread = onread
    if (this.#isBound) {
      to.localAddress = source.address
      to.localPort = this.#isSelf(port) ? this.#deps.ports.leap() : port
    }
    const socket = connect(to).on('connect', this.#onConnect).on('error', this.#onError)
    if (this.#isBound) this.#deps.connections.add(source, socket)
    return socket
  }

  /** TCP connects a port with itself where nobody listens, if it is told to (RFC 9293 §3.5, simultaneous open). */
  #isSelf(localPort: number): boolean {
    const { source, address, port } = this.#route
    return localPort === port && source.address === address
  }

  readonly #onConnect = (): void => {
    const socket = this.#socket
    this.#unlisten()
    if (!this.#isBound && socket.localPort === socket.remotePort && socket.localAddress === socket.remoteAddress) {
      socket.destroy()
      this.#told({ kind: 'target_failed', code: 'ECONNREFUSED' })
      return
    }
    this.#told({ kind: 'connected', socket, durationMs: this.#deps.clock.nowMs() - this.#startedMs })
  }

  readonly #onError = (error: NodeJS.ErrnoException): void => {
    this.#unlisten()
    const failure = connectFailure(error)
    if (failure === 'port_taken') this.#tryAnotherPort()
    else if (failure === 'not_ours') this.#told({ kind: failure })
    else this.#told({ kind: failure, code: error.code ?? 'EIO' })
  }

  /** Where the system chooses the port, it has looked at all of them. */
  #tryAnotherPort(): void {
    if (!this.#isBound || this.#portsTried === maxPorts) {
      this.#told({ kind: 'no_ports' })
      return
    }
    this.#portsTried += 1
    this.#socket = this.#open(this.#deps.ports.leap())
  }

  #unlisten(): void {
    this.#socket.off('connect', this.#onConnect).off('error', this.#onError)
  }
}
