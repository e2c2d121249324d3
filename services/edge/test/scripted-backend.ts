import { once } from 'node:events'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { until } from '@ipfleet/testing/until.ts'
import { Wire } from './wire.ts'

/** A backend that says nothing by itself: a test takes its connections, one after the other, and answers by hand. */
export class ScriptedBackend implements AsyncDisposable {
  readonly #server: Server
  readonly #open = new Set<Wire>()
  readonly #fresh: Wire[] = []

  /** Listens on a free port of 127.0.0.1. */
  static async start(): Promise<ScriptedBackend> {
    const backend = new ScriptedBackend()
    backend.#server.listen(0, '127.0.0.1')
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

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const wire of this.#open) wire.destroy()
    await closed
  }
}
