import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { FaultyLink, type LinkMode } from './faulty-tcp-proxy-link.ts'

/**
 * What the proxy does to its connections, the open ones too:
 * - `pass`: nothing.
 * - `blackhole`: accepts, swallows the bytes of both sides, sends no FIN: a half-open link.
 * - `half`: swallows what the server says only.
 * - `reset`: RST, for open connections at once and for new ones as they come.
 * - `refuse`: stops listening and closes what is open, as a process that died.
 * - `{ delayMs }`: every chunk, either way, comes that much later, in order.
 *
 * A connection that has lost bytes stays mute when the mode changes, until its client drops it: TCP never
 * delivers a stream with a hole, and a protocol that pairs answers with questions would be told lies.
 */
export type FaultyTcpProxyMode = LinkMode | 'reset' | 'refuse'

export interface FaultyTcpProxyOptions {
  readonly targetPort: number
  /** Default 127.0.0.1. */
  readonly targetHost?: string
}

export interface FaultyTcpProxy {
  /** Where it listens, on 127.0.0.1; the same before and after `refuse`. */
  readonly port: number
  /** Connections that clients hold open through it. */
  readonly connections: number
  /** Connections accepted since the start. */
  readonly accepted: number
  /** Switches the mode; resolves when it holds (`refuse`: the port is free; back from it: the port listens). */
  mode(mode: FaultyTcpProxyMode): Promise<void>
  close(): Promise<void>
}

class TcpProxy implements FaultyTcpProxy {
  readonly #options: FaultyTcpProxyOptions
  readonly #links = new Set<FaultyLink>()
  #server: Server | undefined
  #mode: FaultyTcpProxyMode = 'pass'
  #port = 0
  #accepted = 0

  constructor(options: FaultyTcpProxyOptions) {
    this.#options = options
  }

  get port(): number {
    return this.#port
  }

  get connections(): number {
    return this.#links.size
  }

  get accepted(): number {
    return this.#accepted
  }

  async listen(): Promise<void> {
    // Half-open sockets are kept: the FIN of one side is passed on, or swallowed, as the mode says.
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#accept(client))
    server.listen(this.#port, '127.0.0.1')
    await once(server, 'listening')
    this.#server = server
    const address = server.address()
    if (typeof address === 'object' && address !== null) this.#port = address.port
  }

  async mode(mode: FaultyTcpProxyMode): Promise<void> {
    this.#mode = mode
    if (mode === 'refuse') {
      await this.close()
      return
    }
    for (const link of this.#links) {
      if (mode === 'reset') link.reset()
      else link.setMode(mode)
    }
    if (this.#server === undefined) await this.listen()
  }

  async close(): Promise<void> {
    for (const link of this.#links) link.destroy()
    const server = this.#server
    if (server === undefined) return
    this.#server = undefined
    const closed = once(server, 'close')
    server.close()
    await closed
  }

  #accept(client: Socket): void {
    this.#accepted += 1
    // A connection may be accepted by the kernel before `reset` or `refuse` and reach this line after it.
    if (this.#mode === 'reset' || this.#mode === 'refuse') {
      client.resetAndDestroy()
      return
    }
    const { targetHost = '127.0.0.1', targetPort } = this.#options
    const target = connect({ host: targetHost, port: targetPort, allowHalfOpen: true, noDelay: true })
    const link = new FaultyLink(client, target, this.#mode)
    this.#links.add(link)
    client.once('close', () => this.#links.delete(link))
  }
}

/** A TCP proxy on a free port of 127.0.0.1 in front of `targetPort`, whose link a test breaks and mends. */
export async function startFaultyTcpProxy(options: FaultyTcpProxyOptions): Promise<FaultyTcpProxy> {
  const proxy = new TcpProxy(options)
  await proxy.listen()
  return proxy
}
