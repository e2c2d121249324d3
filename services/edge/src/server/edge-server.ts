import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Http2Server } from 'node:http2'
import type { Server as TcpServer, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { createServer as createTls, type Server as TlsServer, type TLSSocket } from 'node:tls'
import { http } from '@ipfleet/core/node-http.ts'
import { addressSubject } from '@ipfleet/net/address-subject.ts'
import { plainAddress } from '@ipfleet/net/client-address.ts'
import type { Certificate } from '@ipfleet/core/certificate-files.ts'
import {
  ConnectionLimits,
  type ConnectionLimitsOptions,
  type QuotaRefusal,
} from '@ipfleet/http-server/connection-limits.ts'
import { trackConnections } from '@ipfleet/http-server/connection-tracker.ts'
import { openFastLane } from '@ipfleet/http-server/fast-lane/fast-lane.ts'
import type { LaneHandlers } from '@ipfleet/http-server/fast-lane/plain-connection.ts'
import { gracefulClose, type GracefulCloseOptions } from '@ipfleet/http-server/graceful-close.ts'
import { hardenServer, httpServerOptions } from '@ipfleet/http-server/harden-server.ts'
import { Handshakes } from '@ipfleet/http-server/handshakes.ts'
import { inTurn } from '@ipfleet/http-server/in-turn.ts'
import { listen } from '@ipfleet/http-server/listen.ts'
import { passOnExpectations } from '@ipfleet/http-server/pass-on-expectations.ts'
import type { ServerConfig, TlsConfig } from '../config/edge-config.ts'
import { FastLaneAnswer } from '@ipfleet/proxy/relay/fast-lane-answer.ts'
import { H1Answer } from '@ipfleet/proxy/relay/h1-answer.ts'
import { createH2Server, type H2ServerDeps } from './h2-server.ts'
import { H2Sessions } from './h2-sessions.ts'
import { type MissingHeader, ProxyProtocol } from './proxy-protocol.ts'
import { asksForTunnel, mayBeFollowed, offerOf } from '@ipfleet/proxy/relay/upgrade-offer.ts'

export interface EdgeServerOptions extends Omit<H2ServerDeps, 'limits' | 'sessions' | 'keepAliveMs'> {
  readonly config: ServerConfig
  readonly tls: TlsConfig | undefined
  readonly certificate: Certificate | undefined
  /** Whether plain requests are read without node:http. */
  readonly fastLane: boolean
}

/**
 * What listens: HTTP/1.1, and with TLS also HTTP/2. One TCP server takes the connections; once it is known what a
 * connection speaks, it is handed to the server of that protocol, which does not listen itself.
 */
export class EdgeServer {
  readonly #h1: Server
  readonly #h2: Http2Server | undefined
  readonly #tls: TlsServer | undefined
  readonly #listener: TcpServer
  readonly #handshakes: Handshakes | undefined
  readonly #limits: ConnectionLimits
  readonly #sessions = new H2Sessions()
  readonly #proxyProtocol: ProxyProtocol
  readonly #options: EdgeServerOptions
  #upgrades: boolean

  constructor(options: EdgeServerOptions) {
    const { config, tls, certificate } = options
    this.#options = options
    this.#upgrades = config.upgrades
    this.#h1 = this.#createH1(config, tls !== undefined)
    this.#limits = new ConnectionLimits(this.#connectionLimits(config))
    const keepAliveMs = (): number => this.#h1.keepAliveTimeout
    const h2Deps = { ...options, limits: this.#limits, sessions: this.#sessions, keepAliveMs }
    this.#h2 = tls?.http2 === true ? createH2Server(config, h2Deps) : undefined
    this.#tls = tls && certificate && this.#createTls(tls, certificate)
    this.#listener = this.#tls ?? this.#h1
    this.#limits.watch(this.#listener)
    // Before all others, which are to see whom the connection is from.
    this.#proxyProtocol = new ProxyProtocol(config, this.#refuseUnnamed).standBefore(this.#listener)
    this.#handshakes = this.#tls && new Handshakes(this.#tls, this.#tls)
  }

  get openConnections(): number {
    return this.#limits.open
  }

  get refusedConnections(): number {
    return this.#limits.refused
  }

  /** @returns the port. @throws ListenError */
  listen({ host, port }: { readonly host: string; readonly port: number }): Promise<number> {
    return listen(this.#h1, { host, port }, this.#listener)
  }

  /** What can change while it runs. The size of a header cannot, nor their number over HTTP/2: Node takes them at the start. */
  configure(config: ServerConfig): void {
    this.#upgrades = config.upgrades
    this.#proxyProtocol.configure(config)
    this.#limits.configure(this.#connectionLimits(config))
    const { headersTimeout, keepAliveTimeout } = httpServerOptions(limitsOf(config))
    Object.assign(this.#h1, { headersTimeout, keepAliveTimeout, maxHeadersCount: config.maxHeaders })
  }

  /**
   * Takes effect for connections to come. The keys of session tickets stay: workers have them in common, as Node gives
   * them the same at their start, and what one of them made anew the others could not read.
   */
  renew(tls: TlsConfig, certificate: Certificate): void {
    const ticketKeys = this.#tls?.getTicketKeys()
    this.#tls?.setSecureContext({ ...certificate, minVersion: tls.minVersion, ticketKeys })
  }

  close(options: GracefulCloseOptions): Promise<void> {
    const opening = {
      destroyAll: () => {
        this.#proxyProtocol.destroyWaiting()
        this.#handshakes?.destroyAll()
      },
    }
    return gracefulClose(this.#h1, { ...options, listeners: [this.#listener], others: this.#sessions, opening })
  }

  /** As what is refused before it is a request. */
  readonly #refuseUnnamed = (socket: Socket, why: MissingHeader): void => {
    const code = why === 'late' ? 'ERR_HTTP_REQUEST_TIMEOUT' : 'ERR_PROXY_HEADER'
    this.#h1.emit('clientError', Object.assign(new Error('No PROXY header'), { code }), socket)
  }

  #createH1(config: ServerConfig, secure: boolean): Server {
    const { app, onRefused } = this.#options
    const serve = (req: IncomingMessage, res: ServerResponse): void => {
      const answer = new H1Answer(res)
      if (!mayBeFollowed(req)) answer.closeAfter()
      app({ req, answer, secure, upgrade: undefined })
    }
    const server: Server = http.createServer(
      {
        ...httpServerOptions(limitsOf(config)),
        // The body's own time is watched request by request: an upload of gigabytes may take as long as it flows.
        requestTimeout: 0,
        optimizeEmptyRequests: true,
        // Behind a request that is not answered yet there is no connection to give away.
        shouldUpgradeCallback: (req) =>
          this.#upgrades && asksForTunnel(req) && trackConnections(server).pending(req.socket) === undefined,
      },
      inTurn(serve),
    )
    passOnExpectations(server)
    // What TLS carries comes decrypted, one read for each record, to node:http only.
    if (this.#options.fastLane && !secure) this.#openLane(server, config)
    server.on('upgrade', (req: IncomingMessage, stream: Duplex, early: Buffer) => {
      const { res, offer } = offerOf(req, stream, early)
      app({ req, answer: new H1Answer(res), secure, upgrade: offer })
    })
    hardenServer(server, limitsOf(config), onRefused)
    return server
  }

  /** Plain GET and HEAD, which are most requests, do without node:http. */
  #openLane(server: Server, { maxHeaderBytes }: ServerConfig): void {
    const maxFields = (): number => server.maxHeadersCount ?? Infinity
    const heads = { takesHead: true, takesRawTargets: true, maxHeadLength: maxHeaderBytes, maxFields }
    const serve: LaneHandlers['serve'] = (req, exchange) =>
      this.#options.app({ req, answer: new FastLaneAnswer(exchange), secure: false, upgrade: undefined })
    openFastLane(server, { serve }, heads)
  }

  #createTls(tls: TlsConfig, certificate: Certificate): TlsServer {
    const server = createTls({
      ...certificate,
      minVersion: tls.minVersion,
      ALPNProtocols: [...(this.#h2 ? ['h2'] : []), 'http/1.1', 'http/1.0'],
      handshakeTimeout: this.#options.config.headerTimeoutMs,
      noDelay: true,
    })
    server.on('secureConnection', (socket: TLSSocket) => {
      this.#proxyProtocol.carryOver(socket)
      if (socket.alpnProtocol === 'h2' && this.#h2) {
        if (this.#sessions.isOverResets(addressSubject(plainAddress(socket.remoteAddress)))) socket.destroy()
        else {
          this.#sessions.carriedBy(socket)
          this.#h2.emit('connection', socket)
        }
        return
      }
      // For what may become a tunnel. A client that closes a half in the handshake, or with HTTP/2, has left.
      socket.allowHalfOpen = true
      this.#h1.emit('connection', socket)
    })
    // Who takes too long over the handshake is only told of by Node 26.
    server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
      const below = error.code === noTls ? this.#handshakes?.below(socket) : undefined
      if (below) this.#h1.emit('clientError', error, below)
      else socket.destroy()
    })
    // Its look for expired headers begins when a server listens, which this one does not.
    this.#h1.emit('listening')
    return server
  }

  #connectionLimits({ maxConnections, maxConnectionsPerClient }: ServerConfig): ConnectionLimitsOptions {
    const { isTrusted, shares } = this.#options
    const onRefused = (why: QuotaRefusal): void => void shares.refusal('connections', why)
    return { maxConnections, maxPerClient: maxConnectionsPerClient, isTrusted, onRefused }
  }
}

/** What OpenSSL says of a PROXY header, and of whatever else is neither TLS nor HTTP. */
const noTls = 'ERR_SSL_WRONG_VERSION_NUMBER'

function limitsOf(config: ServerConfig) {
  return {
    headersTimeoutMs: config.headerTimeoutMs,
    keepAliveTimeoutMs: config.keepAliveMs,
    maxHeaders: config.maxHeaders,
    maxHeaderBytes: config.maxHeaderBytes,
    // ConnectionLimits counts them, and can be told another number.
    maxConnections: Infinity,
    takesOddRequestLines: true,
  }
}
