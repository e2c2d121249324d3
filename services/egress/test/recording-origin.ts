import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'

/** A request as it reached the origin. */
export interface Arrival {
  /** The address that it came from. */
  readonly from: string
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
}

export interface OriginOptions {
  readonly host?: string
  /** Default: a free one. */
  readonly port?: number
  /** PEM texts of an origin that speaks TLS. */
  readonly tls?: { readonly cert: string; readonly key: string }
}

/** An origin that keeps what it gets, and by default answers with where that came from. */
export class RecordingOrigin implements AsyncDisposable {
  readonly arrivals: Arrival[] = []
  /** Where connections came from, those without a request included. */
  readonly peers: string[] = []
  answer: RequestListener = (req, res) => void res.end(req.socket.remoteAddress)
  readonly #server: Server
  readonly #isTls: boolean

  static async start({ host = '127.0.0.1', port = 0, tls }: OriginOptions = {}): Promise<RecordingOrigin> {
    const origin = new RecordingOrigin(tls)
    origin.#server.listen(port, host)
    await once(origin.#server, 'listening')
    return origin
  }

  private constructor(tls: OriginOptions['tls']) {
    const serve: RequestListener = (req, res) => {
      const { method = '', url = '', headers } = req
      this.arrivals.push({ from: req.socket.remoteAddress ?? '', method, url, headers })
      this.answer(req, res)
    }
    this.#isTls = tls !== undefined
    this.#server = tls === undefined ? createServer(serve) : createTlsServer(tls, serve)
    this.#server.on('connection', ({ remoteAddress = '' }: Socket) => void this.peers.push(remoteAddress))
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get connections(): number {
    return this.peers.length
  }

  /** `host:port`, as CONNECT names it. */
  get authority(): string {
    return `${(this.#server.address() as AddressInfo).address}:${this.port}`
  }

  get url(): string {
    return `${this.#isTls ? 'https' : 'http'}://${this.authority}/`
  }

  /** Where the requests so far came from. */
  get sources(): string[] {
    return this.arrivals.map(({ from }) => from)
  }

  forget(): void {
    this.arrivals.length = 0
    this.peers.length = 0
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    await closed
  }
}
