import { once } from 'node:events'
import { type AddressInfo, createServer, isIPv6, type Server, type Socket } from 'node:net'
import { monotonicClock } from '@ipfleet/core/clock.ts'
import { NameLookups } from '@ipfleet/net/name-lookups.ts'
import { until } from '@ipfleet/testing/until.ts'
import type { Dialled, DialRequest } from '../src/dial/dial-request.ts'
import { ParentDialer } from '../src/dial/parent-dialer.ts'
import { LocalPorts } from '../src/dial/local-ports.ts'
import { HappyEyeballs } from '../src/dial/target-dialer.ts'
import { SourceConnections } from '../src/sources/source-connections.ts'
import type { SourcePool } from '../src/sources/source-pool.ts'
import { SilentListener } from './silent-listener.ts'

interface DialOptions {
  readonly pool: SourcePool
  /** Generous unless a test is about it. */
  readonly connectTimeoutMs?: number
  /** A range of its own. */
  readonly ports?: readonly number[]
}

/** Origins and dialled sockets of one test, which end with it. */
export class DialHarness {
  readonly #servers: Server[] = []
  readonly #sockets: Socket[] = []
  readonly #silent: SilentListener[] = []
  /** Of all its dialers. */
  readonly connections = new SourceConnections(async () => ({ kind: 'good' }))

  /** Accepts and keeps connections. Any port unless one is given. */
  async origin(host: string, port = 0): Promise<Origin> {
    const server = createServer({ allowHalfOpen: true })
    const origin = new Origin(server)
    this.#servers.push(server)
    server.on('connection', (socket) => this.#sockets.push(socket))
    server.listen(port, host)
    await once(server, 'listening')
    return origin
  }

  async silent(host: string): Promise<SilentListener> {
    const listener = await SilentListener.start(host)
    this.#silent.push(listener)
    return listener
  }

  /** On which nobody listens. */
  async closedPort(host: string): Promise<number> {
    const { port, server } = await this.origin(host)
    server.close()
    await once(server, 'close')
    return port
  }

  dialer({ pool, connectTimeoutMs = 10_000, ports }: DialOptions): TestDialer {
    const localPorts = ports ? new LocalPorts(ports) : LocalPorts.ofSystem()
    const { connections } = this
    const clock = monotonicClock
    const names = new NameLookups({ lookUp: async () => [], clock, timeoutMs: connectTimeoutMs })
    const parents = new ParentDialer({ names, clock })
    const deps = { pool, parents, ports: localPorts, clock, connections, connectTimeoutMs }
    return { dial: (request) => new Promise((resolve) => new HappyEyeballs(deps, request, resolve).start()) }
  }

  /** Keeps the socket of a dial that succeeds until the test is over. */
  async dial(dialer: TestDialer, request: DialRequest): Promise<Dialled> {
    const dialled = await dialer.dial(request)
    if (dialled.kind === 'connected') this.#sockets.push(dialled.socket.on('error', () => {}))
    return dialled
  }

  async clear(): Promise<void> {
    for (const socket of this.#sockets.splice(0)) socket.destroy()
    for (const server of this.#servers.splice(0)) server.close()
    for (const listener of this.#silent.splice(0)) await listener.stop()
  }
}

export interface TestDialer {
  dial(request: DialRequest): Promise<Dialled>
}

export class Origin {
  readonly server: Server
  readonly accepted: Socket[] = []

  constructor(server: Server) {
    this.server = server
    server.on('connection', (socket) => this.accepted.push(socket.on('error', () => {})))
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port
  }

  /** The source addresses of the connections that have come, once there are as many. */
  async sources(count: number): Promise<(string | undefined)[]> {
    await until(() => this.accepted.length >= count)
    return this.accepted.map(({ remoteAddress }) => remoteAddress)
  }
}

/** A request to dial these addresses of a name. */
export function toAddresses(
  addresses: readonly string[],
  port: number,
  more: Partial<Pick<DialRequest, 'session' | 'signal'>> = {},
): DialRequest {
  return {
    target: { host: 'site.example', port, isAddress: false },
    addresses: addresses.map((address) => ({ address, family: isIPv6(address) ? 6 : 4 })),
    session: undefined,
    signal: new AbortController().signal,
    ...more,
  }
}

/** Ports below those that the system and the other tests give away, so that nothing else comes to use them. */
export function portsBelowTheSystems(count: number): number[] {
  const first = 12_000 + Math.floor(Math.random() * 7_000)
  return Array.from({ length: count }, (_, index) => first + index)
}
