import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { refuseTunnel } from '@ipfleet/http-server/harden-server.ts'
import { takeConnections } from '@ipfleet/http-server/take-connections.ts'
import type { App } from '../app.ts'
import { socks4Refusal, socks4Version, socksVersion } from '../socks/socks5.ts'
import { beginsConnect, readConnectHead } from './connect-head.ts'
import { Opening, OpeningFault } from './opening.ts'
import type { Protocol } from './protocols.ts'

/** From the first byte of a connection to the end of its first head, or of the handshake of SOCKS. */
export const openingTimeoutMs = 10_000
/** For a client that was asked for credentials: it may ask its user. */
const againTimeoutMs = 75_000
/** As Node has it for the others. */
const maxHeadBytes = 16_384

/**
 * Decides by the first bytes of a connection who reads it: SOCKS5; the head of a CONNECT, which is read here, more
 * leniently and at less cost than in Node; or Node's HTTP server.
 */
export class Openings {
  readonly #http: Server
  readonly #attachHttp: (socket: Socket) => void
  readonly #app: App
  readonly #speaks: ReadonlySet<Protocol>
  /** Connections that may ask again. */
  readonly #challenged = new Set<Socket>()

  constructor(http: Server, app: App, speaks: readonly Protocol[]) {
    this.#http = http
    this.#app = app
    this.#speaks = new Set(speaks)
    this.#attachHttp = takeConnections(http)
    http.on('connection', (socket: Socket) => void this.#open(socket, openingTimeoutMs))
  }

  /** Ends the connections whose clients were asked for credentials and have sent nothing since. */
  endChallenged(): void {
    for (const socket of this.#challenged) socket.destroy()
  }

  async #open(socket: Socket, timeoutMs: number): Promise<void> {
    const opening = new Opening(socket, timeoutMs)
    try {
      const first = await opening.until(([byte]) => byte, 1)
      this.#challenged.delete(socket)
      if (first === socksVersion && this.#speaks.has('socks5')) await this.#app.socks(socket, opening)
      else if (first === socks4Version && this.#speaks.has('socks5')) {
        opening.release()
        socket.end(socks4Refusal)
      } else if (!this.#speaks.has('http')) socket.destroy()
      else if (await opening.until(beginsConnect, maxHeadBytes)) await this.#connect(socket, opening)
      else this.#handOver(socket, opening)
    } catch (error) {
      this.#failed(socket, opening, error)
    }
  }

  async #connect(socket: Socket, opening: Opening): Promise<void> {
    const req = await readConnectHead(opening, socket, maxHeadBytes)
    const early = opening.release()
    if (req === undefined) refuseTunnel(this.#http, socket, 'bad_request')
    else await this.#app.connect(req, socket, early, () => this.#openAgain(socket))
  }

  #openAgain(socket: Socket): void {
    this.#challenged.add(socket)
    socket.once('close', () => this.#challenged.delete(socket))
    void this.#open(socket, againTimeoutMs)
  }

  #handOver(socket: Socket, opening: Opening): void {
    const bytes = opening.release()
    this.#attachHttp(socket)
    if (bytes.length > 0) socket.unshift(bytes)
  }

  #failed(socket: Socket, opening: Opening, error: unknown): void {
    opening.release()
    this.#challenged.delete(socket)
    if (!(error instanceof OpeningFault)) throw error
    const isSilent = socket.bytesRead === 0
    if (error.kind === 'left' || socket.destroyed || isSilent) socket.destroy()
    else refuseTunnel(this.#http, socket, error.kind === 'late' ? 'request_timeout' : 'headers_too_large')
  }
}
