import { once } from 'node:events'
import { createServer as createHttpServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'

/** A delivery that has come in full. */
export interface Delivery {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly serverName: string | false | null | undefined
  /** Of `performance.now()`. */
  readonly atMs: number
}

export interface ReceiverOptions {
  readonly host?: string
  readonly port?: number
  readonly tls?: { readonly cert: string; readonly key: string }
  /** Default: an empty 200. `nth` counts from 1. */
  readonly answer?: (response: ServerResponse, nth: number) => void
}

/** A web server that takes webhooks and keeps what it gets. */
export class WebhookReceiver implements AsyncDisposable {
  readonly deliveries: Delivery[] = []
  /** Also those over which no whole request came. */
  connections = 0
  port = 0
  readonly #server: ReturnType<typeof createHttpServer>

  static async start({ host = '127.0.0.1', port = 0, ...options }: ReceiverOptions = {}): Promise<WebhookReceiver> {
    const receiver = new WebhookReceiver(options)
    receiver.#server.listen(port, host)
    await once(receiver.#server, 'listening')
    receiver.port = (receiver.#server.address() as AddressInfo).port
    return receiver
  }

  private constructor({ tls, answer = (response) => void response.end() }: ReceiverOptions) {
    this.#server = tls === undefined ? createHttpServer() : createHttpsServer(tls)
    this.#server.on('connection', () => (this.connections += 1))
    this.#server.on('request', (request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const { url: path = '', headers } = request
        const { servername: serverName } = request.socket as Partial<TLSSocket>
        this.deliveries.push({
          path,
          headers,
          serverName,
          body: Buffer.concat(chunks).toString(),
          atMs: performance.now(),
        })
        answer(response, this.deliveries.length)
      })
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    await closed
  }
}
