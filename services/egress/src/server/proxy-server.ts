import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { createServer as createTcp, type Server as TcpServer, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { http } from '@ipfleet/core/node-http.ts'
import type { Certificate } from '@ipfleet/core/certificate-files.ts'
import { UnorderedList } from '@ipfleet/core/unordered-list.ts'
import { ConnectionLimits, type QuotaRefusal } from '@ipfleet/http-server/connection-limits.ts'
import { trackConnections } from '@ipfleet/http-server/connection-tracker.ts'
import { gracefulClose, type GracefulCloseOptions } from '@ipfleet/http-server/graceful-close.ts'
import {
  type ConnectionRefusal,
  hardenServer,
  httpServerOptions,
  refuseTunnel,
} from '@ipfleet/http-server/harden-server.ts'
import { inTurn } from '@ipfleet/http-server/in-turn.ts'
import { endWith } from '@ipfleet/http-server/linger.ts'
import { listen } from '@ipfleet/http-server/listen.ts'
import { passOnExpectations } from '@ipfleet/http-server/pass-on-expectations.ts'
import { asksForTunnel, offerOf } from '@ipfleet/proxy/relay/upgrade-offer.ts'
import type { App } from '../app.ts'
import { socks4Refusal, socks4Version, socksVersion } from '../socks/socks5.ts'
import type { Endpoint, Protocol } from './listen-address.ts'
import { beginsConnect, headEnd, Opening, OpeningFault, readConnectHead } from './opening.ts'
import { TlsListener } from './tls-listener.ts'

export interface ProxyServerOptions {
  /** What clients may speak. */
  readonly protocols: readonly Protocol[]
  /** Called for what is refused before it is a request. */
  readonly onRefused: (refusal: ConnectionRefusal) => void
  readonly maxConnections: number
  /** 0: no limit. */
  readonly maxPerClient: number
  /** Called for each connection that is closed because there are too many. */
  readonly onTooMany: (why: QuotaRefusal) => void
}

/** From the first byte of a connection to the end of its first head, or of the handshake of SOCKS. */
const openingTimeoutMs = 10_000
/** For a client that was asked for credentials: it may ask its user. */
const againTimeoutMs = 75_000
/** As Node has it for the others. */
const maxHeadBytes = 16_384

const openingPlace = Symbol('place among the connections that open')

/**
 * The server that clients connect to, with and without TLS. Listeners hand it the connections, and it decides by their
 * first bytes who reads them: SOCKS5; the head of a CONNECT, which is read here, more leniently and at less cost than in
 * Node; or Node's HTTP server.
 */
export class ProxyServer {
  readonly #app: App
  readonly #http: Server
  readonly #speaks: ReadonlySet<Protocol>
  readonly #limits: ConnectionLimits
  /** Connections of which it is not known who reads them. */
  readonly #opening = new UnorderedList<Socket>(openingPlace)
  /** Of these, those whose clients were asked for credentials. */
  readonly #challenged = new Set<Socket>()
  readonly #listeners: TcpServer[] = []
  #tls: TlsListener | undefined

  constructor(app: App, { protocols, maxConnections, maxPerClient, onRefused, onTooMany }: ProxyServerOptions) {
    this.#app = app
    this.#speaks = new Set(protocols)
    const serve = (req: IncomingMessage, res: ServerResponse): void => void app.forward(req, res)
    this.#http = http.createServer(
      {
        ...httpServerOptions(),
        // A body may take as long as it flows.
        requestTimeout: 0,
        // While an earlier request is unanswered, its connection cannot be handed over.
        shouldUpgradeCallback: (req) => asksForTunnel(req) && !this.#isAwaited(req.socket),
      },
      inTurn(serve),
    )
    passOnExpectations(this.#http)
    this.#http.on('upgrade', (req: IncomingMessage, stream: Duplex, early: Buffer) => {
      const { res, offer } = offerOf(req, stream, early)
      void app.forward(req, res, offer)
    })
    this.#http.on('connect', (req: IncomingMessage, socket: Socket, early: Buffer) => {
      if (this.#isAwaited(socket)) refuseTunnel(this.#http, socket, 'bad_request', req)
      else void app.connect(req, socket, early)
    })
    hardenServer(this.#http, { maxConnections: Infinity, takesOddRequestLines: true }, onRefused)
    this.#limits = new ConnectionLimits({ maxConnections, maxPerClient, onRefused: onTooMany })
    // Its look for expired headers begins when a server listens, which this one does not.
    this.#http.emit('listening')
  }

  /** @returns the port. @throws ListenError */
  listen(endpoint: Endpoint): Promise<number> {
    const listener = createTcp({ allowHalfOpen: true, noDelay: true })
    this.#watch(listener).on('connection', this.#serve)
    return listen(this.#http, endpoint, listener)
  }

  /** The same with TLS, in which clients speak as they do without. */
  listenSecurely(endpoint: Endpoint, certificate: Certificate): Promise<number> {
    this.#tls = new TlsListener(certificate, openingTimeoutMs, this.#serve)
    this.#watch(this.#tls.server)
    this.#tls.serve()
    return listen(this.#http, endpoint, this.#tls.server)
  }

  /** Takes effect for connections to come. */
  renew(certificate: Certificate): void {
    this.#tls?.renew(certificate)
  }

  /** Ends what waits for a client, lets what is under way end, and then resolves. */
  close(options: Pick<GracefulCloseOptions, 'onDraining' | 'deadlineMs'>): Promise<void> {
    for (const socket of this.#challenged) socket.destroy()
    const [limits, tls] = [this.#limits, this.#tls]
    return gracefulClose(this.#http, {
      ...options,
      drainMs: 0,
      listeners: this.#listeners,
      others: {
        lastOpenMs: () => -Infinity,
        sayGoodbye: () => {},
        destroySilent: () => this.#destroySilent(),
        destroyAll: () => limits.destroyAll(),
      },
      ...(tls && { opening: tls.handshakes }),
    })
  }

  get openConnections(): number {
    return this.#limits.open
  }

  /** What is too many is closed before any other listener sees it. */
  #watch(listener: TcpServer): TcpServer {
    this.#listeners.push(listener)
    this.#limits.watch(listener)
    return listener
  }

  readonly #serve = (socket: Socket): void => {
    if (!socket.destroyed) void this.#open(socket, openingTimeoutMs)
  }

  /** Whether an answer is still pending on it. */
  #isAwaited(socket: Socket): boolean {
    return trackConnections(this.#http).pending(socket) !== undefined
  }

  async #open(socket: Socket, timeoutMs: number): Promise<void> {
    const opening = new Opening(socket, timeoutMs)
    this.#opening.add(socket)
    try {
      const reader = await opening.until(this.#readerOf, maxHeadBytes)
      this.#known(socket)
      if (reader === 'connect') await this.#connect(socket, opening)
      else if (reader === 'socks5') await this.#app.socks(socket, opening)
      else if (reader === 'http') this.#handOver(socket, opening)
      else {
        opening.release()
        if (reader === 'none') socket.destroy()
        else endWith(socket, socks4Refusal)
      }
    } catch (error) {
      this.#failed(socket, opening, error)
    }
  }

  readonly #readerOf = (held: Buffer): 'socks5' | 'socks4' | 'connect' | 'http' | 'none' | undefined => {
    const [first] = held
    if (this.#speaks.has('socks5')) {
      if (first === socksVersion) return 'socks5'
      if (first === socks4Version) return 'socks4'
    }
    if (!this.#speaks.has('http')) return 'none'
    const isConnect = beginsConnect(held)
    return isConnect === undefined ? undefined : isConnect ? 'connect' : 'http'
  }

  async #connect(socket: Socket, opening: Opening): Promise<void> {
    const head = readConnectHead(opening.take(await opening.until(headEnd, maxHeadBytes)))
    const early = opening.release()
    const mayAskAgain = !trackConnections(this.#http).isLeaving
    if (head === undefined) refuseTunnel(this.#http, socket, 'bad_request')
    else void this.#app.connect(head, socket, early, mayAskAgain ? () => this.#openAgain(socket) : undefined)
  }

  #openAgain(socket: Socket): void {
    this.#challenged.add(socket)
    void this.#open(socket, againTimeoutMs)
  }

  #known(socket: Socket): void {
    this.#opening.delete(socket)
    this.#challenged.delete(socket)
  }

  /** Those on which nothing was ever sent. */
  #destroySilent(): void {
    for (const socket of this.#opening) if (socket.bytesRead === 0) socket.destroy()
  }

  #handOver(socket: Socket, opening: Opening): void {
    const bytes = opening.release()
    this.#http.emit('connection', socket)
    if (bytes.length > 0) socket.unshift(bytes)
    socket.resume()
  }

  #failed(socket: Socket, opening: Opening, error: unknown): void {
    opening.release()
    this.#known(socket)
    if (!(error instanceof OpeningFault)) throw error
    const isSilent = socket.bytesRead === 0
    if (error.kind === 'left' || socket.destroyed || isSilent) socket.destroy()
    else refuseTunnel(this.#http, socket, error.kind === 'late' ? 'request_timeout' : 'headers_too_large')
  }
}
