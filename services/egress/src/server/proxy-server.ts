import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTcp, type Server as TcpServer, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Certificate } from '@ipfleet/http-server/certificate.ts'
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
import { listen } from '@ipfleet/http-server/listen.ts'
import { passOnExpectations } from '@ipfleet/http-server/pass-on-expectations.ts'
import { asksForTunnel, offerOf } from '@ipfleet/proxy/relay/upgrade-offer.ts'
import type { App } from '../app.ts'
import type { Endpoint } from './listen-address.ts'
import { Openings, openingTimeoutMs } from './openings.ts'
import type { Protocol } from './protocols.ts'
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

/** The server that clients connect to, with and without TLS. Listeners hand it the connections. */
export class ProxyServer {
  readonly #http: Server
  readonly #limits: ConnectionLimits
  readonly #openings: Openings
  readonly #listeners: TcpServer[] = []
  #tls: TlsListener | undefined

  constructor(app: App, { protocols, maxConnections, maxPerClient, onRefused, onTooMany }: ProxyServerOptions) {
    const serve = (req: IncomingMessage, res: ServerResponse): void => void app.forward(req, res)
    this.#http = createServer(
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
    hardenServer(this.#http, { maxConnections: Infinity }, onRefused)
    this.#openings = new Openings(this.#http, app, protocols)
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
    this.#openings.endChallenged()
    const opening = this.#tls && { opening: this.#tls.handshakes }
    return gracefulClose(this.#http, { ...options, drainMs: 0, listeners: this.#listeners, ...opening })
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
    if (!socket.destroyed) this.#http.emit('connection', socket)
  }

  /** Whether an answer is still pending on it. */
  #isAwaited(socket: Socket): boolean {
    return trackConnections(this.#http).pending(socket) !== undefined
  }
}
