import { fileURLToPath } from 'node:url'
import type { FakeIpinfoOptions } from '@ipfleet/testing/fake-ipinfo/options.ts'
import { type FakeIpinfo, startFakeIpinfo } from '@ipfleet/testing/fake-ipinfo.ts'
import { type ServiceProcess, startReplica, startService } from '@ipfleet/testing/service-process.ts'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { until } from '@ipfleet/testing/until.ts'

type Env = Readonly<Record<string, string>>

export interface BulkHarnessOptions {
  /** Lookup replicas. Default 1. */
  readonly replicas?: number
  /** Processes of the bulk service. Default 1. */
  readonly services?: number
  readonly fake?: FakeIpinfoOptions
  /** On top of the replicas' settings, and of the services'. */
  readonly lookupEnv?: Env
  readonly bulkEnv?: Env
  readonly redisArgs?: readonly string[]
}

/** A job as `GET /jobs/:id` says it, as far as tests look at it. */
export interface SeenJob {
  readonly id: string
  readonly state: string
  readonly lines: { readonly total: number; readonly done: number; readonly answered: number; readonly errors: number }
  readonly errors?: Readonly<Record<string, number>>
  readonly callback?: { readonly state: string; readonly attempts: number; readonly reason?: string }
}

const bulkEntry = fileURLToPath(new URL('../src/main.ts', import.meta.url))
export const keys = ['bulk-key-1', 'bulk-key-2'] as const
/** Longer than Redis stands still on a busy machine: without it answers are not stored, and are asked for again. */
const redisTimeoutMs = '5000'

/** A whole fleet with the bulk service, as processes, and one fake IPinfo in this one. */
export class BulkHarness implements AsyncDisposable {
  readonly replicas: ServiceProcess[] = []
  readonly services: ServiceProcess[] = []
  readonly #options: BulkHarnessOptions
  #fake: FakeIpinfo | undefined
  #redis: TestRedis | undefined

  /** Starts everything; what had been started is stopped when something does not come up. */
  static async start(options: BulkHarnessOptions = {}): Promise<BulkHarness> {
    const harness = new BulkHarness(options)
    try {
      await harness.#start()
      return harness
    } catch (error) {
      await harness.stop()
      throw error
    }
  }

  private constructor(options: BulkHarnessOptions) {
    this.#options = options
  }

  get fake(): FakeIpinfo {
    return there(this.#fake)
  }

  get redis(): TestRedis {
    return there(this.#redis)
  }

  /** Of the first process of the service. */
  get url(): string {
    return there(this.services[0]).url
  }

  /** One more process of the service. */
  async join(env: Env = {}): Promise<ServiceProcess> {
    const service = await startService({
      entry: bulkEntry,
      name: 'bulk',
      env: {
        PORT: '0',
        HOST: '127.0.0.1',
        LOG_FORMAT: 'json',
        REDIS_URL: this.redis.url,
        LOOKUP_URL: there(this.replicas[0]).url,
        REDIS_TIMEOUT_MS: redisTimeoutMs,
        DRAIN_MS: '0',
        ...this.#options.bulkEnv,
        ...env,
      },
    })
    this.services.push(service)
    return service
  }

  /** @returns the id of the job that these lines have become */
  async post(body: string | Uint8Array<ArrayBuffer>, query = '', headers: Env = {}): Promise<string> {
    const response = await fetch(`${this.url}/jobs${query}`, {
      method: 'POST',
      headers: { 'Content-Type': 'text/plain', ...headers },
      body,
    })
    const text = await response.text()
    if (response.status !== 202) throw new Error(`POST /jobs answered ${response.status}: ${text}`)
    return (JSON.parse(text) as SeenJob).id
  }

  /** Rejects when the service tells nothing of it, as while Redis does not answer. */
  async job(id: string): Promise<SeenJob> {
    const response = await fetch(`${this.url}/jobs/${id}`)
    const text = await response.text()
    if (!response.ok) throw new Error(`job ${id}: ${response.status} ${text}`)
    return JSON.parse(text) as SeenJob
  }

  /** The job once it is in that state. */
  waitFor(id: string, state: string, timeoutMs = 60_000): Promise<SeenJob> {
    return until(async () => {
      const job = await this.job(id).catch(() => undefined)
      return job?.state === state ? job : undefined
    }, timeoutMs)
  }

  async results(id: string, query = ''): Promise<string> {
    const response = await fetch(`${this.url}/jobs/${id}/results${query}`)
    return response.text()
  }

  /** Forgets all answers of the fleet, so that the next job has to ask upstream. */
  async forgetAnswers(): Promise<void> {
    const response = await fetch(`${there(this.replicas[0]).url}/cache`, { method: 'DELETE' })
    if (!response.ok) throw new Error(`DELETE /cache answered ${response.status}`)
  }

  /** Addresses that upstream was asked for, each as often as it was. */
  askedUpstream(): string[] {
    return this.fake.calls.flatMap(({ items }) => items ?? [])
  }

  async stop(): Promise<void> {
    await Promise.all([...new Set(this.services)].map((service) => service.stop()))
    await Promise.all(this.replicas.map((replica) => replica.stop()))
    await this.#fake?.close()
    await this.#redis?.stop()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  async #start(): Promise<void> {
    const { replicas = 1, services = 1, fake, lookupEnv, redisArgs = [] } = this.#options
    const redis = await startTestRedis({ args: redisArgs })
    this.#redis = redis
    const upstream = await startFakeIpinfo({ keys: Object.fromEntries(keys.map((key) => [key, {}])), ...fake })
    this.#fake = upstream
    const startOne = async (): Promise<void> => {
      const replica = await startReplica({
        REDIS_URL: redis.url,
        REDIS_TIMEOUT_MS: redisTimeoutMs,
        IPINFO_KEYS: keys.join(','),
        IPINFO_BASE_URL: upstream.url,
        IPINFO_API_BASE_URL: `${upstream.url}/api.ipinfo.io`,
        ...lookupEnv,
      })
      this.replicas.push(replica)
    }
    await Promise.all(Array.from({ length: replicas }, startOne))
    const joined = await Promise.all(Array.from({ length: services }, () => this.join()))
    // It listens before it has Redis, and takes no job until then.
    await Promise.all(joined.map((service) => service.waitForLine(({ msg }) => msg === 'redis is up')))
  }
}

function there<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('not started')
  return value
}
