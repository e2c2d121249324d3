import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '@ipfleet/testing/until.ts'

export interface LoadOptions {
  /** Default 50. */
  readonly clients?: number
  /** Default `/`. */
  readonly path?: string
  /** Whether a client whose connection is closed after an answer leaves for good. Default: it connects again. */
  readonly leavesWhenTold?: boolean
}

/** Of a client between two requests. Fifty ask up to a thousand times a second, which leaves the processor to what is tested. */
const pauseMs = 50

/** Clients that each keep one connection and ask again and again. */
export class KeepAliveLoad implements AsyncDisposable {
  answered = 0
  /** Whatever was not a whole answer with 200. */
  readonly faults: string[] = []
  /** By X-Backend. */
  readonly answeredBy = new Map<string, number>()
  readonly #port: number
  readonly #options: Required<LoadOptions>
  readonly #clients: Promise<void>
  #going = true

  constructor(port: number, { clients = 50, path = '/', leavesWhenTold = false }: LoadOptions = {}) {
    this.#port = port
    this.#options = { clients, path, leavesWhenTold }
    this.#clients = Promise.all(Array.from({ length: clients }, () => this.#client())).then(() => undefined)
  }

  /** Resolves when so many more answers have come. */
  async more(count: number): Promise<void> {
    const enough = this.answered + count
    await until(() => this.answered >= enough)
  }

  /** Resolves when so many more have come from this backend (`127.0.0.1:8000`). */
  async moreFrom(backend: string, count: number): Promise<void> {
    const enough = (this.answeredBy.get(backend) ?? 0) + count
    await until(() => (this.answeredBy.get(backend) ?? 0) >= enough)
  }

  /** Resolves when all clients have left by themselves. */
  left(): Promise<void> {
    return this.#clients
  }

  async stop(): Promise<void> {
    this.#going = false
    await this.#clients
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async #client(): Promise<void> {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const { leavesWhenTold } = this.#options
    // So that they do not all come at the same moment.
    await sleep(Math.random() * pauseMs)
    while (this.#going) {
      const connection = await this.#ask(agent).catch((error: unknown) => void this.faults.push(String(error)))
      if (leavesWhenTold && connection !== 'keep-alive') break
      await sleep(pauseMs)
    }
    agent.destroy()
  }

  /** @returns what the answer says of the connection */
  async #ask(agent: Agent): Promise<string | undefined> {
    const req = request({ host: '127.0.0.1', port: this.#port, path: this.#options.path, agent }).end()
    const [res] = await once(req, 'response')
    const body = await text(res)
    this.answered += 1
    const { 'x-backend': backend = 'nobody', connection } = res.headers
    this.answeredBy.set(backend, (this.answeredBy.get(backend) ?? 0) + 1)
    if (res.statusCode !== 200) this.faults.push(`${res.statusCode} ${body}`)
    return connection
  }
}
