import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'

interface Waiter {
  readonly isThere: () => boolean
  readonly resolve: () => void
}

/** One end of a connection, driven by hand. Text is Latin-1, so that each character is a byte. */
export class Wire {
  /** All that has come. */
  text = ''
  /** How the other side ended it. A FIN is `closed`, and this side may still send. */
  readonly ended: Promise<'closed' | 'reset'>
  readonly socket: Socket
  readonly #waiters = new Set<Waiter>()

  /** Connects to a port of 127.0.0.1, with TLS if there are options for it. */
  static async to(port: number, tls?: ConnectionOptions): Promise<Wire> {
    const options = { port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true }
    const socket = tls === undefined ? connect(options) : connectTls({ ...options, ...tls })
    await once(socket, tls === undefined ? 'connect' : 'secureConnect')
    return new Wire(socket)
  }

  constructor(socket: Socket) {
    this.socket = socket
    const { promise, resolve } = Promise.withResolvers<'closed' | 'reset'>()
    this.ended = promise
    socket.on('data', (bytes) => this.#take(bytes.toString('latin1')))
    socket.on('end', () => resolve('closed'))
    socket.on('error', () => resolve('reset'))
    socket.on('close', () => resolve('closed'))
  }

  /** False when the bytes have to wait in this process. */
  write(bytes: string | Buffer): boolean {
    return this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  }

  /** Resolves with all that has come, as soon as this is in it. */
  async saw(what: string | RegExp, patienceMs = 60_000): Promise<string> {
    const isThere = (): boolean => (typeof what === 'string' ? this.text.includes(what) : what.test(this.text))
    if (isThere()) return this.text
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const waiter = { isThere, resolve }
    this.#waiters.add(waiter)
    const fail = (why: string) => reject(new Error(`${why} without ${String(what)}; what came: ${this.text}`))
    const timer = setTimeout(fail, patienceMs, `${patienceMs} ms`)
    void this.ended.then((how) => fail(how))
    try {
      await promise
      return this.text
    } finally {
      clearTimeout(timer)
      this.#waiters.delete(waiter)
    }
  }

  /** Closes this side only. */
  end(): void {
    this.socket.end()
  }

  destroy(): void {
    this.socket.destroy()
  }

  reset(): void {
    this.socket.resetAndDestroy()
  }

  #take(text: string): void {
    this.text += text
    for (const waiter of this.#waiters) if (waiter.isThere()) waiter.resolve()
  }
}
