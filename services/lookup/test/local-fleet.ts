import { Agent, type IncomingHttpHeaders, request } from 'node:http'
import { buffer } from 'node:stream/consumers'
import type { FakeIpinfoOptions } from '@ipfleet/testing/fake-ipinfo/options.ts'
import { type FakeIpinfo, startFakeIpinfo } from '@ipfleet/testing/fake-ipinfo.ts'
import { type ServiceProcess, startReplica } from '@ipfleet/testing/service-process.ts'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { emptyRedis } from '@ipfleet/testing/redis-observer.ts'

export interface LocalFleetOptions {
  /** Default 1. */
  readonly replicas?: number
  /** Keys that the replicas share. Default three, all known to the fake. */
  readonly keys?: readonly string[]
  /** On top of the replicas' settings. */
  readonly env?: Readonly<Record<string, string>>
  readonly fake?: FakeIpinfoOptions
  /** A Redis that several fleets use, one after the other: it is emptied first, and outlives this one. */
  readonly redis?: TestRedis
}

export interface AskOptions {
  /** Which replica, counted from 0. Default 0. */
  readonly replica?: number
  readonly method?: string
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  readonly body?: string | Buffer
}

export interface Reply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  readonly text: string
  /** The body, parsed. Throws when it is not JSON. */
  json(): unknown
}

/** Replicas as processes, with one real Redis and one fake IPinfo. */
export interface LocalFleet extends AsyncDisposable {
  readonly fake: FakeIpinfo
  readonly redis: TestRedis
  readonly replicas: readonly ServiceProcess[]
  /** A request to one of the replicas, over connections that are kept alive. */
  ask(path: string, options?: AskOptions): Promise<Reply>
  /** `count` requests at once, spread evenly over the replicas. */
  askAll(count: number, pathOf: (index: number) => string): Promise<Reply[]>
  /** One more replica with the same settings. */
  join(): Promise<ServiceProcess>
  stop(): Promise<void>
}

export const defaultKeys = ['test-key-1', 'test-key-2', 'test-key-3'] as const

/** For tests that are not about Redis' absence: on a busy machine an answer after 100 ms is none. */
export const patientWithRedis = { REDIS_TIMEOUT_MS: '5000' } as const

/** Starts them all; what had been started is stopped when one of them does not come up. */
export async function startLocalFleet(options: LocalFleetOptions = {}): Promise<LocalFleet> {
  const fleet = new RunningFleet(options)
  try {
    await fleet.start()
    return fleet
  } catch (error) {
    await fleet.stop()
    throw error
  }
}

class RunningFleet implements LocalFleet {
  readonly replicas: ServiceProcess[] = []
  readonly #options: LocalFleetOptions
  readonly #client = httpClient()
  readonly #closers: (() => Promise<unknown>)[] = []
  #fake: FakeIpinfo | undefined
  #redis: TestRedis | undefined

  constructor(options: LocalFleetOptions) {
    this.#options = options
  }

  get fake(): FakeIpinfo {
    return required(this.#fake)
  }

  get redis(): TestRedis {
    return required(this.#redis)
  }

  async start(): Promise<void> {
    this.#fake = await startFakeIpinfo(this.#options.fake)
    this.#closers.push(() => this.fake.close())
    this.#redis = this.#options.redis ?? (await startTestRedis())
    if (this.#options.redis) await emptyRedis(this.redis.url)
    else this.#closers.push(() => this.redis.stop())
    await Promise.all(Array.from({ length: this.#options.replicas ?? 1 }, () => this.join()))
  }

  async join(): Promise<ServiceProcess> {
    const replica = await startReplica({
      IPINFO_KEYS: (this.#options.keys ?? defaultKeys).join(','),
      IPINFO_BASE_URL: this.fake.url,
      IPINFO_API_BASE_URL: this.fake.apiUrl,
      REDIS_URL: this.redis.url,
      DRAIN_MS: '0',
      STALE_WHILE_REVALIDATE_SECONDS: '0',
      ...patientWithRedis,
      // For tests that are not about deadlines: on a busy machine forty requests at once may take over the default of 5 s.
      REQUEST_TIMEOUT_MS: '20000',
      // Calls are counted, and most tests mean those that a client caused.
      QUOTA_POLL_SECONDS: '0',
      ...this.#options.env,
    })
    this.replicas.push(replica)
    return replica
  }

  ask(path: string, options: AskOptions = {}): Promise<Reply> {
    return this.#client.ask(required(this.replicas[options.replica ?? 0]).url, path, options)
  }

  askAll(count: number, pathOf: (index: number) => string): Promise<Reply[]> {
    const one = (index: number): Promise<Reply> => this.ask(pathOf(index), { replica: index % this.replicas.length })
    return Promise.all(Array.from({ length: count }, (_, index) => one(index)))
  }

  /** Replicas first, so that nothing is missed by those who are still there. Killed ones are fine too. */
  async stop(): Promise<void> {
    this.#client.close()
    for (const replica of this.replicas) replica.kill('SIGKILL')
    await Promise.all(this.replicas.map(({ exited }) => exited))
    for (const close of this.#closers.splice(0).toReversed()) await close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }
}

export interface HttpClient {
  ask(url: string, path: string, options?: Omit<AskOptions, 'replica'>): Promise<Reply>
  close(): void
}

/** A client that sends the path as it is given (`fetch` would tidy it up) and keeps its connections. */
export function httpClient(): HttpClient {
  const agent = new Agent({ keepAlive: true })
  return {
    ask: (url, path, options = {}) => askOver(agent, url, path, options),
    close: () => agent.destroy(),
  }
}

function askOver(agent: Agent, url: string, path: string, { method = 'GET', headers = {}, body }: AskOptions) {
  const { promise, resolve, reject } = Promise.withResolvers<Reply>()
  const { hostname, port } = new URL(url)
  const req = request({ agent, host: hostname, port, path, method, headers: mutable(headers) }, (res) => {
    buffer(res).then((bytes) => {
      const text = bytes.toString()
      resolve({
        status: res.statusCode ?? 0,
        headers: res.headers,
        body: bytes,
        text,
        json: (): unknown => JSON.parse(text),
      })
    }, reject)
  })
  req.on('error', reject)
  req.end(body)
  return promise
}

function mutable(headers: NonNullable<AskOptions['headers']>): Record<string, string | string[]> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, typeof value === 'string' ? value : [...value]]),
  )
}

function required<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('not started')
  return value
}

export interface HealthBody {
  readonly status: string
  readonly keys: { readonly total: number; readonly active: number; readonly cooling: number }
  readonly redis: { readonly state: string; readonly cache: string }
  readonly upstream: { readonly breaker: string }
}

export async function healthOf(fleet: LocalFleet, replica = 0): Promise<HealthBody> {
  return (await fleet.ask('/health', { replica })).json() as HealthBody
}

/** Short of the life of a lease (1500 ms), which is extended every third of it. */
const longLagSeconds = 0.8

/**
 * How often upstream may be asked for what one of the fleet asks for all: `planned`, and no more where the machine ran. A
 * replica that stands still loses its leases, and one that Redis does not answer goes on alone, as both are meant to.
 */
export async function mostCalls(fleet: LocalFleet, planned: number): Promise<number> {
  const replicas = [...fleet.replicas.keys()]
  const metrics = await Promise.all(
    replicas.map((replica) =>
      fleet.ask('/metrics', { replica }).then(
        ({ text }) => text,
        () => 'one that was killed',
      ),
    ),
  )
  return metrics.some(hasStoodStill) ? planned * replicas.length : planned
}

function hasStoodStill(metrics: string): boolean {
  const lags = [...metrics.matchAll(/^nodejs_eventloop_lag_max_seconds (\S+)$/gm)]
  const unanswered = [...metrics.matchAll(/^ipfleet_redis_command_duration_seconds_count\{.*"failed".*\} (\d+)$/gm)]
  return lags.some(([, lag]) => Number(lag) > longLagSeconds) || unanswered.some(([, count]) => Number(count) > 0)
}

export function cacheStatus({ headers }: Reply): string {
  return String(headers['cache-status'])
}
