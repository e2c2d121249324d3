import { once } from 'node:events'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { until } from './until.ts'
import { Wire } from './wire.ts'

/** A server that says nothing by itself: a test takes its connections, one after the other, and answers by hand. */
export class ScriptedBackend implements AsyncDisposable {
  readonly #server: Server
  readonly #open = new Set<Wire>()
  readonly #fresh: Wire[] = []

  /** Listens on a free port. */
  static async start(host = '127.0.0.1'): Promise<ScriptedBackend> {
    const backend = new ScriptedBackend()
    backend.#server.listen(0, host)
    await once(backend.#server, 'listening')
    return backend
  }

  private constructor() {
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      const wire = new Wire(socket)
      this.#open.add(wire)
      this.#fresh.push(wire)
      socket.on('close', () => this.#open.delete(wire))
    })
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** The next connection that nobody has taken yet. */
  accept(): Promise<Wire> {
    return until(() => this.#fresh.shift())
  }

  /** How many connections nobody has taken yet. */
  get waiting(): number {
    return this.#fresh.length
  }

  /** Ends those that nobody has taken yet. */
  forget(): void {
    for (const wire of this.#fresh.splice(0)) wire.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const wire of this.#open) wire.destroy()
    await closed
  }
}
