import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { chooseRedisProvider } from './redis-provider-choice.ts'
import { findRedisServer } from './redis-provider-local.ts'
import { RespClient } from './resp-client.ts'
import { type GuardedChild, spawnGuarded } from './service-process-child.ts'
import { temporaryFolder } from './service-process-folder.ts'
import { likelyFreePort } from './service-process-port.ts'
import { startTestRedis, type TestRedis } from './test-redis.ts'
import { until } from './until.ts'

/** A master, its replicas, and Sentinels that watch them, as processes of this machine. */
export interface TestSentinels {
  /** `redis+sentinel://127.0.0.1:port,…/NAME` */
  readonly url: string
  readonly servers: readonly TestRedis[]
  /** Whom the Sentinels name. */
  master(): Promise<TestRedis>
  /** Has the Sentinels name another one, as for maintenance. Resolves when they do. */
  failOver(): Promise<void>
  /** Resolves when the Sentinels know `count` replicas that are in step with the master. */
  waitForReplicas(count: number): Promise<void>
  stop(): Promise<void>
}

const masterName = 'my.master-1'
/** Longer than a busy machine stands still. */
const downAfterMs = 2500

export interface TestSentinelsOptions {
  readonly replicas?: number
  readonly sentinels?: number
  /** Of the Sentinels, not of the servers. */
  readonly password?: string
}

export async function startTestSentinels({
  replicas = 1,
  sentinels = 1,
  password,
}: TestSentinelsOptions = {}): Promise<TestSentinels> {
  // A container would not see the files that Sentinels write to.
  const { provider } = await chooseRedisProvider('local')
  const first = await startTestRedis({ provider })
  const args = ['--replicaof', `127.0.0.1 ${first.port}`]
  const others = await Promise.all(Array.from({ length: replicas }, () => startTestRedis({ provider, args })))
  const servers = [first, ...others]
  const folder = await temporaryFolder('sentinels')
  const quorum = Math.floor(sentinels / 2) + 1
  const watching = await Promise.all(
    Array.from({ length: sentinels }, () =>
      startSentinel({ folder: folder.path, masterPort: first.port, quorum, password }),
    ),
  )
  const client = await RespClient.connect(`redis://127.0.0.1:${watching[0]?.port}`)
  if (password !== undefined) await client.call('AUTH', password)
  const master = async (): Promise<TestRedis> => {
    const [, port] = (await client.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', masterName)) as string[]
    const found = servers.find((server) => server.port === Number(port))
    if (!found) throw new Error(`the Sentinels name port ${port}, where no server of the test is`)
    return found
  }
  return {
    url: `redis+sentinel://${watching.map(({ port }) => `127.0.0.1:${port}`).join()}/${masterName}`,
    servers,
    master,
    failOver: async () => {
      const before = await master()
      await client.call('SENTINEL', 'FAILOVER', masterName)
      await until(async () => (await master()) !== before, 60_000)
    },
    waitForReplicas: async (count) => {
      await until(async () => {
        const known = (await client.call('SENTINEL', 'REPLICAS', masterName)) as string[][]
        return known.filter(isInStep).length >= count
      }, 60_000)
    },
    stop: async () => {
      client.close()
      await Promise.all(watching.map(({ child }) => child.stop(0)))
      await Promise.all(servers.map((server) => server.stop()))
      await folder.remove()
    },
  }
}

function isInStep(replica: readonly string[]): boolean {
  const valueOf = (name: string): string | undefined => replica[replica.indexOf(name) + 1]
  return valueOf('flags') === 'slave' && valueOf('master-link-status') === 'ok'
}

interface Sentinel {
  readonly port: number
  readonly child: GuardedChild
}

interface SentinelOptions {
  readonly folder: string
  readonly masterPort: number
  readonly quorum: number
  readonly password: string | undefined
}

async function startSentinel(options: SentinelOptions): Promise<Sentinel> {
  const { folder, masterPort, quorum, password } = options
  const port = likelyFreePort()
  const file = join(folder, `${port}.conf`)
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${folder}`,
    `sentinel monitor ${masterName} 127.0.0.1 ${masterPort} ${quorum}`,
    `sentinel down-after-milliseconds ${masterName} ${downAfterMs}`,
    `sentinel failover-timeout ${masterName} 5000`,
    ...(password === undefined ? [] : [`requirepass ${password}`]),
  ]
  await writeFile(file, `${lines.join('\n')}\n`)
  const env = { PATH: process.env['PATH'] ?? '', LC_ALL: 'C' }
  const child = await spawnGuarded(findRedisServer() ?? 'redis-server', {
    args: [file, '--sentinel'],
    env,
    cwd: folder,
  })
  const { promise: watches, resolve } = Promise.withResolvers<'watches'>()
  child.onLine((line) => {
    if (line.includes('+monitor master')) resolve('watches')
  })
  const outcome = await Promise.race([watches, child.exited])
  return outcome === 'watches' ? { port, child } : startSentinel(options) // its port was taken
}
