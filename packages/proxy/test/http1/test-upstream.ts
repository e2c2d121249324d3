import { until } from '@ipfleet/testing/until.ts'
import { ConnectionPool } from '../../src/http1/connection-pool.ts'
import type { PoolOptions } from '../../src/http1/connection-pool.ts'
import type { Exchange } from '../../src/http1/exchange.ts'
import type { ExchangeHandler, UpstreamRequest, UpstreamTarget } from '../../src/http1/exchange-types.ts'
import { Heard } from './heard.ts'
import { ScriptedServer } from './scripted-server.ts'

/** Generous, so that only what a test makes short can run out on a busy machine. */
const patientOptions: PoolOptions = {
  connectTimeoutMs: 10_000,
  answerTimeoutMs: 10_000,
  idleTimeoutMs: 10_000,
  keepAliveMs: 10_000,
  maxConnections: 10,
  maxWaiting: 10,
}

interface Asked {
  readonly exchange: Exchange
  readonly heard: Heard
}

/** A scripted server, and pools to it that are closed with it. */
export class TestUpstream {
  readonly server: ScriptedServer
  readonly #pools: ConnectionPool[] = []

  private constructor(server: ScriptedServer) {
    this.server = server
  }

  static async set(): Promise<TestUpstream> {
    return new TestUpstream(await ScriptedServer.start())
  }

  pool(options: Partial<PoolOptions> = {}, target: UpstreamTarget = this.server.target): ConnectionPool {
    const pool = new ConnectionPool(target, { ...patientOptions, ...options })
    this.#pools.push(pool)
    return pool
  }

  async clear(): Promise<void> {
    for (const pool of this.#pools.splice(0)) pool.close()
    await this.server.stop()
  }
}

export function withPatience(options: Partial<PoolOptions>): PoolOptions {
  return { ...patientOptions, ...options }
}

export function ask(
  pool: ConnectionPool,
  path: string,
  request: Partial<UpstreamRequest> = {},
  hooks: Partial<ExchangeHandler> = {},
): Asked {
  const heard = new Heard(hooks)
  const method = request.method ?? 'GET'
  const head = `${method} ${path} HTTP/1.1\r\nHost: a\r\n`
  const exchange = pool.exchange({ method, head, body: 'none', ...request }, heard)
  return { exchange, heard }
}

/** Writes until the server takes no more, waiting for `drained` as one should. Gives the number of bytes. */
export async function writeUntilStuck(exchange: Exchange, heard: Heard): Promise<number> {
  const part = Buffer.alloc(65_536, 'x')
  for (let written = part.length; ; written += part.length) {
    const before = heard.events.length
    if (exchange.write(part)) continue
    const isStuck = await until(() => heard.events.length > before, 300).then(
      () => false,
      () => true,
    )
    // What came while this process stood still is seen first.
    await new Promise(setImmediate)
    if ((isStuck && heard.events.length === before) || heard.fault) return written
  }
}
