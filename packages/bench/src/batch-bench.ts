import { fileURLToPath } from 'node:url'
import { fakeControl } from '@ipfleet/testing/fake-ipinfo-control.ts'
import { type ServiceProcess, startReplica, startService } from '@ipfleet/testing/service-process.ts'
import { startTestRedis } from '@ipfleet/testing/test-redis.ts'
import { cpuTimeUs } from './proc-stats.ts'
import { median } from './statistics.ts'
import { manyTargets } from './targets.ts'

export interface BatchOptions {
  /** Of each kind, one after the other. */
  readonly batches: number
  /** Of one batch. */
  readonly items: number
  /** Batches that are under way at the same time. */
  readonly clients: number
}

/** Batches of one kind. */
export interface BatchSeries {
  readonly source: string
  readonly itemsPerSecond: number
  /** The replica's own. */
  readonly cpuUsPerItem: number
  /** Median. */
  readonly msPerBatch: number
}

export interface BatchReport {
  readonly load: string
  readonly series: readonly BatchSeries[]
}

const fakeEntry = fileURLToPath(import.meta.resolve('@ipfleet/testing/fake-ipinfo-main.ts'))

/**
 * Batches as a replica serves them out of Redis, and as it has them from upstream: each item of a batch is new to the
 * fleet. The upstream is the fake on the same machine, which takes its share of the CPU.
 */
export async function benchBatch({ batches, items, clients }: BatchOptions): Promise<BatchReport> {
  const fake = await startService({ entry: fakeEntry, args: ['--port', '0', '--max-calls', '100'] })
  const redis = await startTestRedis()
  const env = {
    IPINFO_KEYS: 'bench-key-1,bench-key-2',
    IPINFO_BASE_URL: fake.url,
    IPINFO_API_BASE_URL: fake.url,
    REDIS_URL: redis.url,
    DRAIN_MS: '0',
    // Nothing is served from memory: every batch asks Redis.
    CACHE_TTL_SECONDS: '0',
  }
  const replica = await startReplica(env)
  try {
    const [warmUp = [], ...lists] = listsOf(batches + 1, items)
    // Node compiles what is hot while it runs, and the first use of a script loads it.
    for (let time = 0; time < 20; time += 1) await post(replica.url, warmUp)
    const upstream = await series('upstream', replica, lists, clients)
    const calls = (await fakeControl(fake.url).stats()).total
    const shared = await series('Redis', replica, lists, clients)
    if ((await fakeControl(fake.url).stats()).total > calls) throw new Error('upstream was asked: these were no hits')
    return { load: `${batches} batches of ${items} items, ${clients} at a time`, series: [shared, upstream] }
  } finally {
    await replica.stop()
    await redis.stop()
    await fake.stop()
  }
}

async function series(
  source: string,
  { url, pid }: ServiceProcess,
  lists: readonly (readonly string[])[],
  clients: number,
): Promise<BatchSeries> {
  const durationsMs: number[] = []
  const left = lists.values()
  const client = async (): Promise<void> => {
    for (const list of left) {
      const startedMs = performance.now()
      await post(url, list)
      durationsMs.push(performance.now() - startedMs)
    }
  }
  const beforeUs = cpuTimeUs(pid)
  const startedMs = performance.now()
  await Promise.all(Array.from({ length: clients }, client))
  const items = lists.reduce((sum, list) => sum + list.length, 0)
  return {
    source,
    itemsPerSecond: items / ((performance.now() - startedMs) / 1000),
    cpuUsPerItem: (cpuTimeUs(pid) - beforeUs) / items,
    msPerBatch: median(durationsMs),
  }
}

function listsOf(count: number, items: number): string[][] {
  const addresses = manyTargets(count * items).map((target) => target.slice(1))
  return Array.from({ length: count }, (_, at) => addresses.slice(at * items, (at + 1) * items))
}

async function post(url: string, list: readonly string[]): Promise<void> {
  const response = await fetch(`${url}/batch`, { method: 'POST', body: JSON.stringify(list) })
  const answers = (await response.json()) as Record<string, { readonly ip?: string }>
  const isWhole = response.status === 200 && list.every((item) => answers[item]?.ip === item)
  if (!isWhole) throw new Error(`a batch was answered with ${response.status}, or not in full`)
}
