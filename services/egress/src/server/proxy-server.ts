import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { ConnectionLimits, type QuotaRefusal } from '@ipfleet/http-server/connection-limits.ts'
import { trackConnections } from '@ipfleet/http-server/connection-tracker.ts'
import {
  type ConnectionRefusal,
  hardenServer,
  httpServerOptions,
  refuseTunnel,
} from '@ipfleet/http-server/harden-server.ts'
import { inTurn } from '@ipfleet/http-server/in-turn.ts'
import { passOnExpectations } from '@ipfleet/http-server/pass-on-expectations.ts'
import { asksForTunnel, offerOf } from '@ipfleet/proxy/relay/upgrade-offer.ts'
import type { App } from '../app.ts'
import { Openings } from './openings.ts'
import type { Protocol } from './protocols.ts'

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

/** The server that clients connect to. */
export class ProxyServer {
  readonly http: Server
  readonly #limits: ConnectionLimits
  readonly #openings: Openings

  constructor(app: App, { protocols, maxConnections, maxPerClient, onRefused, onTooMany }: ProxyServerOptions) {
    const serve = (req: IncomingMessage, res: ServerResponse): void => void app.forward(req, res)
    this.http = createServer(
      {
        ...httpServerOptions(),
        // A body may take as long as it flows.
        requestTimeout: 0,
        // While an earlier request is unanswered, its connection cannot be handed over.
        shouldUpgradeCallback: (req) => asksForTunnel(req) && !this.#isAwaited(req.socket),
      },
      inTurn(serve),
    )
    passOnExpectations(this.http)
    this.http.on('upgrade', (req: IncomingMessage, stream: Duplex, early: Buffer) => {
      const { res, offer } = offerOf(req, stream, early)
      void app.forward(req, res, offer)
    })
    this.http.on('connect', (req: IncomingMessage, socket: Socket, early: Buffer) => {
      if (this.#isAwaited(socket)) refuseTunnel(this.http, socket, 'bad_request', req)
      else void app.connect(req, socket, early)
    })
    hardenServer(this.http, { maxConnections: Infinity }, onRefused)
    this.#openings = new Openings(this.http, app, protocols)
    this.#limits = new ConnectionLimits({
      maxConnections,
      maxPerClient,
      onRefused: onTooMany,
    }).watch(this.http)
  }

  /** Ends the connections on which nothing is under way, though their clients may ask once more. */
  endChallenged(): void {
    this.#openings.endChallenged()
  }

  get openConnections(): number {
    return this.#limits.open
  }

  /** Whether an answer is still pending on it. */
  #isAwaited(socket: Socket): boolean {
    return trackConnections(this.http).pending(socket) !== undefined
  }
}
