import { startTestRedis } from '@ipfleet/testing/test-redis.ts'
import { startFakeIpinfo } from '@ipfleet/testing/fake-ipinfo.ts'
import { loadGenerator } from './load.ts'
import { type MeasuredServer, replicaCommand, type ServerCommand, startMeasured } from './measured-server.ts'
import { nginxCacheCommand } from './nginx-cache.ts'
import { loadText, type RoundsOptions, takeTurns, warmUp } from './rounds.ts'
import { type Ratio, ratioOf, type Series, seriesOf } from './series.ts'
import { manyTargets } from './targets.ts'

export interface HitOptions extends RoundsOptions {
  /** How many different answers are asked for in turn. */
  readonly entries: number
  readonly nodeFlags: readonly string[]
  readonly nginxLogBuffer: string | undefined
}

export interface HitReport {
  readonly load: string
  readonly series: readonly Series[]
  /** Of the replica to nginx; undefined without nginx. */
  readonly ratio: Ratio | undefined
  /** Of a replica that finds its answers in Redis to the one that has them in memory. */
  readonly fromRedis: Ratio
}

/** CPU time per answer out of memory and out of Redis, next to nginx serving the same bodies out of its cache. */
export async function benchHit(options: HitOptions): Promise<HitReport> {
  const fake = await startFakeIpinfo({ requireToken: false })
  const redis = await startTestRedis()
  const servers: MeasuredServer[] = []
  try {
    const env = { IPINFO_KEYS: 'bench-key-1,bench-key-2', IPINFO_BASE_URL: fake.url, CACHE_TTL_SECONDS: '3600' }
    const nginx = nginxCacheCommand({ upstreamUrl: fake.url, logBuffer: options.nginxLogBuffer })
    const shared = { ...env, REDIS_URL: redis.url, CACHE_MAX_ENTRIES: '1' }
    const commands: ServerCommand[] = [
      replicaCommand(env, options.nodeFlags),
      { ...replicaCommand(shared, options.nodeFlags), name: 'replica with Redis' },
      ...(nginx ? [nginx] : []),
    ]
    for (const command of commands) servers.push(await startMeasured(command))
    const traffic = { generator: loadGenerator(), targets: manyTargets(options.entries) }
    await warmUp(servers, traffic, options)
    const asked = fake.calls.length
    const rounds = await takeTurns(servers, traffic, options)
    if (fake.calls.length > asked) throw new Error('upstream was asked in mid-round: these were no hits')
    const [ours = [], fromRedis = [], theirs] = rounds
    return {
      load: loadText(traffic, options),
      series: servers.map(({ name }, index) => seriesOf(name, rounds[index] ?? [])),
      ratio: theirs && ratioOf(ours, theirs),
      fromRedis: ratioOf(fromRedis, ours),
    }
  } finally {
    await Promise.all(servers.map((server) => server.stop()))
    await fake.close()
    await redis.stop()
  }
}
