import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { temporaryFolder } from '@ipfleet/testing/service-process-folder.ts'
import { type ServiceProcess, startReplica, startService } from '@ipfleet/testing/service-process.ts'
import { startTestRedis } from '@ipfleet/testing/test-redis.ts'

type Env = Readonly<Record<string, string>>

export const adminToken = 'console-admin-token'
export const readToken = 'console-read-token'
const clientToken = 'console-client-token'

const entryOf = (service: string): string =>
  fileURLToPath(new URL(`../../../services/${service}/src/main.ts`, import.meta.url))

/** A replica and a bulk service behind an edge, by which the console is reached, and an egress. */
export class EdgeFleet extends AsyncDisposableStack {
  replica!: ServiceProcess
  edge!: ServiceProcess
  #env: Env = {}

  /** @param env on top of the replica's settings */
  static async start(env: Env = {}): Promise<EdgeFleet> {
    const fleet = new EdgeFleet()
    try {
      await fleet.#start(env)
      return fleet
    } catch (error) {
      await fleet.disposeAsync()
      throw error
    }
  }

  /** Ends the replica, and starts it at the same place with other settings. */
  async replaceReplica(env: Env): Promise<void> {
    const { port } = this.replica
    await this.replica.stop()
    this.replica = await startReplica({ ...this.#env, PORT: String(port), ...env })
  }

  async #start(env: Env): Promise<void> {
    const redis = await startTestRedis()
    this.defer(() => redis.stop())
    const common = { REDIS_URL: redis.url, REDIS_TIMEOUT_MS: '5000', DRAIN_MS: '0', LOG_FORMAT: 'json' }
    this.#env = {
      ...common,
      ADMIN_TOKEN: adminToken,
      CONSOLE_READ_TOKEN: readToken,
      CLIENT_TOKENS: `shop=${clientToken};requests=1000000/hour`,
      TRUST_PROXY: 'loopback',
      ...env,
    }
    this.replica = await startReplica(this.#env)
    this.defer(async () => void (await this.replica.stop()))
    const bulkEnv = { ...common, PORT: '0', HOST: '127.0.0.1', LOOKUP_URL: this.replica.url, LOOKUP_TOKEN: clientToken }
    const bulk = await this.#service('bulk', bulkEnv)
    await this.#service('egress', {
      ...common,
      LISTEN_ADDR: '127.0.0.1:0',
      METRICS_ADDR: 'off',
      IP_POOL: '127.0.0.1,192.0.2.9',
    })
    const folder = await temporaryFolder('console-edge')
    this.defer(() => folder.remove())
    const file = join(folder.path, 'proxy.toml')
    await writeFile(file, edgeFile(this.replica.url, bulk.url))
    this.edge = await this.#service('edge', { ...common, ADMIN_TOKEN: adminToken }, ['--config', file])
  }

  async #service(name: string, env: Env, args: readonly string[] = []): Promise<ServiceProcess> {
    const service = await startService({ entry: entryOf(name), name, env, args })
    this.defer(async () => void (await service.stop()))
    return service
  }
}

const edgeFile = (lookups: string, jobs: string): string => `
  [server]
  listen = "127.0.0.1:0"
  [upstreams]
  backends = ["${lookups}"]
  [groups.bulk]
  backends = ["${jobs}"]
  [[routes]]
  prefix = "/jobs"
  upstreams = "bulk"
  max_body_bytes = 0
  [console]
  enabled = true`
