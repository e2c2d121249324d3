import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { chooseRedisProvider } from './redis-provider-choice.ts'
import { findRedisServer } from './redis-provider-local.ts'
import { RespClient } from './resp-client.ts'
import { type GuardedChild, spawnGuarded } from './service-process-child.ts'
import { temporaryFolder } from './service-process-folder.ts'
import { freePort, likelyFreePort } from './service-process-port.ts'
import type { TestCertificate } from './test-certificate.ts'
import type { RedisProvider } from './redis-provider.ts'
import { tlsFlags } from './test-redis-tls.ts'
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
  /**
   * Servers and Sentinels have TLS, for all that they say to each other too, and want certificates of their clients.
   * The Sentinels call the servers by the name `localhost`. The test itself asks them without TLS.
   */
  readonly certificate?: TestCertificate
}

export async function startTestSentinels({
  replicas = 1,
  sentinels = 1,
  password,
  certificate,
}: TestSentinelsOptions = {}): Promise<TestSentinels> {
  // A container would not see the files that Sentinels write to.
  const { provider } = await chooseRedisProvider('local')
  const start = (primary?: number): Promise<StartedServer> => startServer(provider, primary, certificate)
  const first = await start()
  const others = await Promise.all(Array.from({ length: replicas }, () => start(first.knownPort)))
  const started = [first, ...others]
  const servers = started.map(({ redis }) => redis)
  const folder = await temporaryFolder('sentinels')
  const quorum = Math.floor(sentinels / 2) + 1
  const watching = await Promise.all(
    Array.from({ length: sentinels }, () =>
      startSentinel({ folder: folder.path, masterPort: first.knownPort, quorum, password, certificate }),
    ),
  )
  const client = await RespClient.connect(`redis://127.0.0.1:${watching[0]?.port}`)
  if (password !== undefined) await client.call('AUTH', password)
  const master = async (): Promise<TestRedis> => {
    const [, port] = (await client.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', masterName)) as string[]
    const found = started.find(({ knownPort }) => knownPort === Number(port))?.redis
    if (!found) throw new Error(`the Sentinels name port ${port}, where no server of the test is`)
    return found
  }
  return {
    url: certificate
      ? `rediss+sentinel://${watching.map(({ tlsPort }) => `localhost:${tlsPort}`).join()}/${masterName}`
      : `redis+sentinel://${watching.map(({ port }) => `127.0.0.1:${port}`).join()}/${masterName}`,
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

interface StartedServer {
  readonly redis: TestRedis
  /** By which others know it. */
  readonly knownPort: number
}

/** @param primary port of the server that it is to be a replica of */
async function startServer(
  provider: RedisProvider,
  primary: number | undefined,
  certificate: TestCertificate | undefined,
): Promise<StartedServer> {
  const host = certificate ? 'localhost' : '127.0.0.1'
  const args = primary === undefined ? [] : ['--replicaof', `${host} ${primary}`]
  if (certificate === undefined) {
    const redis = await startTestRedis({ provider, args })
    return { redis, knownPort: redis.port }
  }
  const knownPort = await freePort()
  args.push(...tlsFlags(certificate, knownPort), '--replica-announce-ip', host)
  return { redis: await startTestRedis({ provider, args }), knownPort }
}

interface Sentinel {
  readonly port: number
  readonly tlsPort: number | undefined
  readonly child: GuardedChild
}

interface SentinelOptions {
  readonly folder: string
  readonly masterPort: number
  readonly quorum: number
  readonly password: string | undefined
  readonly certificate: TestCertificate | undefined
}

async function startSentinel(options: SentinelOptions): Promise<Sentinel> {
  const { folder, masterPort, quorum, password, certificate } = options
  const port = likelyFreePort()
  const tlsPort = certificate && (await freePort())
  const file = join(folder, `${port}.conf`)
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${folder}`,
    ...(certificate && tlsPort !== undefined ? tlsLines(certificate, tlsPort) : []),
    `sentinel monitor ${masterName} ${certificate ? 'localhost' : '127.0.0.1'} ${masterPort} ${quorum}`,
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
  return outcome === 'watches' ? { port, tlsPort, child } : startSentinel(options) // its port was taken
}

function tlsLines(certificate: TestCertificate, tlsPort: number): string[] {
  const flags = tlsFlags(certificate, tlsPort).join(' ').split(' --')
  const lines = flags.map((flag) => flag.replace(/^--/, ''))
  return [...lines, 'sentinel resolve-hostnames yes', 'sentinel announce-hostnames yes']
}
