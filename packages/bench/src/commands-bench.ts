import { setTimeout as sleep } from 'node:timers/promises'
import { startFakeIpinfo } from '@ipfleet/testing/fake-ipinfo.ts'
import { startReplica } from '@ipfleet/testing/service-process.ts'
import { startTestRedis } from '@ipfleet/testing/test-redis.ts'
import { monitorRedis, type RedisMonitor } from './redis-monitor.ts'
import { manyTargets } from './targets.ts'

export interface CommandCount {
  readonly perRequest: number
  readonly byName: Readonly<Record<string, number>>
}

export interface CommandsReport {
  readonly requests: number
  readonly miss: CommandCount
  readonly hit: CommandCount
}

/** What replicas ask at all times, not on behalf of a request. */
const background: ReadonlySet<string> = new Set('ping time subscribe info client hello monitor'.split(' '))

/** The Redis commands that a replica sends for a cold miss, and that another sends for the same question after it. */
export async function benchCommands({ requests }: { requests: number }): Promise<CommandsReport> {
  const fake = await startFakeIpinfo()
  const redis = await startTestRedis()
  const env = { IPINFO_KEYS: 'bench-key-1,bench-key-2', IPINFO_BASE_URL: fake.url, REDIS_URL: redis.url }
  const replicas = await Promise.all([startReplica(env), startReplica(env)])
  const monitor = await monitorRedis(redis.port)
  try {
    const [first, second] = replicas
    const [warmUp = '', ...targets] = manyTargets(requests + 1)
    // The first use of a script loads it.
    await ask(first.url, warmUp)
    await ask(second.url, warmUp)
    const miss = await count(monitor, () => askAll(first.url, targets), requests)
    const hit = await count(monitor, () => askAll(second.url, targets), requests)
    return { requests, miss, hit }
  } finally {
    monitor.close()
    await Promise.all(replicas.map((replica) => replica.stop()))
    await redis.stop()
    await fake.close()
  }
}

async function count(monitor: RedisMonitor, load: () => Promise<void>, requests: number): Promise<CommandCount> {
  await quiet(monitor)
  monitor.take()
  await load()
  await quiet(monitor)
  const sent = monitor.take().filter((name) => !background.has(name))
  const byName: Record<string, number> = {}
  for (const name of sent) byName[name] = (byName[name] ?? 0) + 1 / requests
  return { perRequest: sent.length / requests, byName }
}

/** Until nothing but the background has come for a while: some commands are sent after the answer. */
async function quiet(monitor: RedisMonitor): Promise<void> {
  let seen = -1
  while (monitor.count(background) !== seen) {
    seen = monitor.count(background)
    await sleep(100)
  }
}

async function askAll(url: string, targets: readonly string[]): Promise<void> {
  for (const target of targets) await ask(url, target)
}

async function ask(url: string, target: string): Promise<void> {
  const response = await fetch(`${url}${target}`)
  await response.arrayBuffer()
  if (response.status !== 200) throw new Error(`${target} answered ${response.status}`)
}
