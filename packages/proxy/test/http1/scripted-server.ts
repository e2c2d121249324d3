import { once } from 'node:events'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'
import { until } from '@ipfleet/testing/until.ts'
import type { UpstreamTarget } from '../../src/http1/exchange-types.ts'

/** A server that does on each connection, byte for byte, what a test tells it to. */
export class ScriptedServer {
  readonly peers: Peer[] = []
  readonly #server: Server
  /** Also those that never get as far as to be peers, because the handshake fails. */
  readonly #sockets: Socket[] = []
  #taken = 0

  private constructor(server: Server, event: 'connection' | 'secureConnection') {
    this.#server = server
    server.on('connection', (socket: Socket) => this.#sockets.push(socket))
    server.on(event, (socket: Socket) => this.peers.push(new Peer(socket)))
  }

  static async start(tls?: TlsOptions): Promise<ScriptedServer> {
    const options = { allowHalfOpen: true }
    const server = tls === undefined ? createServer(options) : createTlsServer({ ...options, ...tls })
    const started = new ScriptedServer(server, tls === undefined ? 'connection' : 'secureConnection')
    // Whoever breaks off a handshake on purpose is no concern of the server's.
    server.on('tlsClientError', () => {})
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return started
  }

  get target(): UpstreamTarget {
    return { address: '127.0.0.1', port: (this.#server.address() as AddressInfo).port }
  }

  /** The next connection, in the order in which they came. */
  async peer(): Promise<Peer> {
    const place = this.#taken
    this.#taken += 1
    return until(() => this.peers[place])
  }

  /** Whatever is asked is answered so, for as long as the server lives. */
  answerAll(answer: (requestHead: string, peer: Peer) => string): void {
    this.#server.on('connection', () => void this.#serve(this.peers.at(-1), answer))
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    if (!this.#server.listening) return
    this.#server.close()
    await once(this.#server, 'close')
  }

  async #serve(peer: Peer | undefined, answer: (requestHead: string, peer: Peer) => string): Promise<void> {
    if (peer === undefined) return
    while (!peer.isClosed) {
      const head = await peer.request().catch(() => undefined)
      if (head === undefined) return
      peer.send(answer(head, peer))
    }
  }
}

/** One connection, seen from the server. */
export class Peer {
  readonly socket: Socket
  /** Resolves when the other side has closed the connection, or broken it. */
  readonly left: Promise<void>
  #received = ''
  #ended = false
  #changed = Promise.withResolvers<void>()

  constructor(socket: Socket) {
    this.socket = socket
    const left = Promise.withResolvers<void>()
    this.left = left.promise
    socket.on('data', (chunk: Buffer) => {
      this.#received += chunk.toString('latin1')
      this.#change()
    })
    socket.on('error', () => {})
    for (const event of ['end', 'close']) {
      socket.on(event, () => {
        this.#ended = true
        left.resolve()
        this.#change()
      })
    }
  }

  get isClosed(): boolean {
    return this.#ended
  }

  /** What has come and was not taken yet. */
  get received(): string {
    return this.#received
  }

  /** The head of the next request, with its empty line. */
  request(): Promise<string> {
    return this.takeThrough('\r\n\r\n')
  }

  /** Waits for `mark` and takes what came, with it. Throws if the connection ends before. */
  async takeThrough(mark: string): Promise<string> {
    for (;;) {
      const at = this.#received.indexOf(mark)
      if (at >= 0) {
        const taken = this.#received.slice(0, at + mark.length)
        this.#received = this.#received.slice(taken.length)
        return taken
      }
      if (this.#ended) throw new Error(`the connection ended before ${JSON.stringify(mark)}`)
      await this.#changed.promise
    }
  }

  /** Sends lines of a head and, after them, a body. */
  answer(lines: readonly string[], body = ''): void {
    this.send(`${lines.join('\r\n')}\r\n\r\n${body}`)
  }

  send(bytes: string | Buffer): void {
    this.socket.write(bytes, 'latin1')
  }

  #change(): void {
    const changed = this.#changed
    this.#changed = Promise.withResolvers<void>()
    changed.resolve()
  }
}

/** An answer with this body, after which the connection goes on. */
export function okWith(body: string): string {
  return `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`
}
