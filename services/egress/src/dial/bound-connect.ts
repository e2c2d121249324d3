import { connect, type OnReadOpts, type Socket, type TcpNetConnectOpts } from 'node:net'
import type { Clock } from '@ipfleet/core/clock.ts'
import type { SourceConnections } from '../sources/source-connections.ts'
import type { Source } from '../sources/source-pool.ts'
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

/** Local ports that are tried before a source counts as having none for a target. */
const maxPorts = 16

/**
 * Connects one source to one address. Calls back once with the result, after the constructor has returned; not if it is
 * stopped. A socket that it hands over has no listener of it.
 */
export class BoundConnect {
  readonly #deps: BoundConnectDeps
  readonly #route: Route
  readonly #onEnd: (end: ConnectEnd) => void
  readonly #startedMs: number
  #socket: Socket
  #portsTried = 1
  #isStopped = false

  constructor(deps: BoundConnectDeps, route: Route, onEnd: (end: ConnectEnd) => void) {
    this.#deps = deps
    this.#route = route
    this.#onEnd = onEnd
    this.#startedMs = deps.clock.nowMs()
    this.#socket = this.#open(deps.ports.next())
  }

  stop(): void {
    this.#isStopped = true
    this.#unlisten()
    // Its error event may be pending.
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

  /** TCP connects a port with itself if source and target are equal (RFC 9293 §3.5, simultaneous open). */
  #isSelf(localPort: number): boolean {
    const { source, address, port } = this.#route
    return localPort === port && source.address === address
  }

  readonly #onConnect = (): void => {
    const socket = this.#socket
    this.#unlisten()
    if (!this.#isBound && socket.localPort === socket.remotePort && socket.localAddress === socket.remoteAddress) {
      socket.destroy()
      this.#onEnd({ kind: 'target_failed', code: 'ECONNREFUSED' })
      return
    }
    this.#onEnd({ kind: 'connected', socket, durationMs: this.#deps.clock.nowMs() - this.#startedMs })
  }

  readonly #onError = (error: NodeJS.ErrnoException): void => {
    this.#unlisten()
    const failure = connectFailure(error)
    if (failure === 'port_taken') this.#tryAnotherPort()
    else if (failure === 'not_ours') this.#onEnd({ kind: failure })
    else {
      const { code = 'EIO' } = error
      if (this.#isBound && withoutRoute.has(code)) void this.#endWithoutRoute({ kind: failure, code })
      else this.#onEnd({ kind: failure, code })
    }
  }

  /** Linux reports the same for a target without a route and for a source that was removed after it was bound. */
  async #endWithoutRoute(end: ConnectEnd): Promise<void> {
    const isSourceGone = await this.#deps.connections.isGone(this.#route.source)
    if (!this.#isStopped) this.#onEnd(isSourceGone ? { kind: 'not_ours' } : end)
  }

  /** A port that the system chooses is not retried: the system has looked at all of them. */
  #tryAnotherPort(): void {
    if (!this.#isBound || this.#portsTried === maxPorts) {
      this.#onEnd({ kind: 'no_ports' })
      return
    }
    this.#portsTried += 1
    this.#socket = this.#open(this.#deps.ports.leap())
  }

  #unlisten(): void {
    this.#socket.off('connect', this.#onConnect).off('error', this.#onError)
  }
}

/**
 * Why a connection was not made:
 * - `port_taken`: another local port may do.
 * - `not_ours`: the source address cannot be bound, because this machine does not have it.
 * - `own_lack`: this process or machine lacks descriptors or memory; neither source nor target is to blame.
 * - `target_failed`: refused, unreachable or silent.
 */
export type ConnectFailure = 'port_taken' | 'not_ours' | 'own_lack' | 'target_failed'

const withoutRoute: ReadonlySet<string> = new Set(['ENETUNREACH', 'EHOSTUNREACH'])
const lacks: ReadonlySet<string | undefined> = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM'])

/**
 * Linux reports EADDRINUSE for a port that has a listener or is not shared, and from `connect` EADDRNOTAVAIL for a port
 * that already has a connection to the same target. From `bind`, EADDRNOTAVAIL is about the address.
 */
export function connectFailure({ code, syscall }: NodeJS.ErrnoException): ConnectFailure {
  if (lacks.has(code)) return 'own_lack'
  if (code === 'EADDRINUSE' || (code === 'EADDRNOTAVAIL' && syscall !== 'bind')) return 'port_taken'
  return syscall === 'bind' ? 'not_ours' : 'target_failed'
}
