import type { RedisInstance, RedisProvider } from './redis-provider.ts'
import { chosenRedisProvider } from './redis-provider-choice.ts'
import { likelyFreePort } from './service-process-port.ts'

/** A Redis of the test's own. */
export interface TestRedis extends RedisInstance {
  /** `redis://127.0.0.1:port` */
  readonly url: string
  readonly port: number
}

export interface TestRedisOptions {
  /** More flags for redis-server, such as `['--maxmemory', '2mb']`. */
  readonly args?: readonly string[]
  /** Default: a free one. */
  readonly port?: number
  /** Default: what the test run has chosen. */
  readonly provider?: RedisProvider
}

/**
 * Starts an empty Redis on loopback for the caller alone, from whichever provider the test run has chosen.
 * The caller stops it; it dies with this process at the latest. Throws if no provider works or `port` is taken.
 */
export async function startTestRedis(options: TestRedisOptions = {}): Promise<TestRedis> {
  const provider = options.provider ?? (await chosenRedisProvider())
  const { port, instance } = await startOnPort(provider, options)
  return { ...instance, port, url: `redis://127.0.0.1:${port}` }
}

interface Started {
  readonly port: number
  readonly instance: RedisInstance
}

async function startOnPort(provider: RedisProvider, options: TestRedisOptions, triesLeft = 20): Promise<Started> {
  const port = options.port ?? likelyFreePort()
  const instance = await provider.start(port, options.args ?? [])
  if (instance !== 'port_taken') return { port, instance }
  if (options.port !== undefined) throw new Error(`port ${port} is taken`)
  if (triesLeft === 0) throw new Error('no free port found for Redis')
  return startOnPort(provider, options, triesLeft - 1)
}
