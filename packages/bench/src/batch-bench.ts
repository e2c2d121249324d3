import { setTimeout as sleep } from 'node:timers/promises'
import { RespClient } from '@ipfleet/testing/resp-client.ts'
import { startReplica, startService } from '@ipfleet/testing/service-process.ts'
import { startTestRedis } from '@ipfleet/testing/test-redis.ts'
import { fakeEntry } from './fake-upstream.ts'
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
  readonly cpuUsPerItem: CpuTimes
  /** Median. */
  readonly msPerBatch: number
  /** Of a single look-up that memory answers, meanwhile; by the clock of this process, which sends the batches too. */
  readonly liveP99Ms: number
}

/** Of those who share in the work, in microseconds. */
export interface CpuTimes {
  readonly replica: number
  readonly redis: number
  readonly upstream: number
}

export interface BatchReport {
  readonly load: string
  readonly series: readonly BatchSeries[]
}

/** How long upstream takes over an answer. */
const upstreamMs = 20
const liveTarget = '/8.8.8.8'
const liveEveryMs = 5

/**
 * Batches as a replica serves them out of Redis, and as it has them from upstream: each item of a batch is new to the
 * fleet. The upstream is the fake on the same machine, which takes its share of the CPU. Meanwhile somebody asks for
 * what is in memory.
 */
export async function benchBatch({ batches, items, clients }: BatchOptions): Promise<BatchReport> {
  const fakeArgs = ['--port', '0', '--max-calls', '100', '--latency-ms', String(upstreamMs)]
  const fake = await startService({ entry: fakeEntry, args: fakeArgs })
  const redis = await startTestRedis()
  const env = {
    // Each has 50,000 look-ups a month.
    IPINFO_KEYS: 'bench-key-1,bench-key-2,bench-key-3,bench-key-4',
    IPINFO_BASE_URL: fake.url,
    IPINFO_API_BASE_URL: `${fake.url}/api.ipinfo.io`,
    REDIS_URL: redis.url,
    // A busy machine is slow, and what is asked of upstream instead is not what is measured.
    REDIS_TIMEOUT_MS: '1000',
    DRAIN_MS: '0',
    // The items of the batches push each other out of memory before they are asked for again.
    CACHE_MAX_ENTRIES: String(items),
  }
  const replica = await startReplica(env)
  try {
    const [warmUp = [], ...lists] = listsOf(batches + 1, items)
    // Node compiles what is hot while it runs, and the first use of a script loads it.
    for (let time = 0; time < 20; time += 1) await post(replica.url, warmUp)
    const cpuTimes = async (): Promise<CpuTimes> => ({
      replica: cpuTimeUs(replica.pid),
      redis: await redisCpuUs(redis.url),
      upstream: cpuTimeUs(fake.pid),
    })
    const load = { url: replica.url, lists, clients, cpuTimes }
    const upstream = await series('upstream', load)
    const shared = await series('l2', load)
    return { load: `${batches} batches of ${items} items, ${clients} at a time`, series: [shared, upstream] }
  } finally {
    await replica.stop()
    await redis.stop()
    await fake.stop()
  }
}

interface BatchLoad {
  readonly url: string
  readonly lists: readonly (readonly string[])[]
  readonly clients: number
  readonly cpuTimes: () => Promise<CpuTimes>
}

/** Throws when an item came from anywhere else. */
async function series(source: 'upstream' | 'l2', { url, lists, clients, cpuTimes }: BatchLoad): Promise<BatchSeries> {
  const durationsMs: number[] = []
  const left = lists.values()
  const client = async (): Promise<void> => {
    for (const list of left) {
      const startedMs = performance.now()
      const items = await post(url, list)
      durationsMs.push(performance.now() - startedMs)
      if (items !== `${source}=${list.length}`) throw new Error(`not only ${source}: ${items}`)
    }
  }
  const finished = new AbortController()
  const live = askLive(url, finished.signal)
  const before = await cpuTimes()
  const startedMs = performance.now()
  const took = Promise.all(Array.from({ length: clients }, client)).then(() => performance.now() - startedMs)
  // The live look-ups end before the replica does, also when a batch failed.
  const tookMs = await took.finally(() => {
    finished.abort()
    return live
  })
  const after = await cpuTimes()
  const count = lists.reduce((sum, list) => sum + list.length, 0)
  return {
    source,
    itemsPerSecond: count / (tookMs / 1000),
    cpuUsPerItem: {
      replica: (after.replica - before.replica) / count,
      redis: (after.redis - before.redis) / count,
      upstream: (after.upstream - before.upstream) / count,
    },
    msPerBatch: median(durationsMs),
    liveP99Ms: (await live).toSorted((a, b) => b - a).at(Math.floor((await live).length / 100)) ?? Number.NaN,
  }
}

/** How long each single look-up took, until the signal. */
async function askLive(url: string, finished: AbortSignal): Promise<number[]> {
  const durationsMs: number[] = []
  while (!finished.aborted) {
    const startedMs = performance.now()
    await (await fetch(`${url}${liveTarget}`)).arrayBuffer()
    durationsMs.push(performance.now() - startedMs)
    await sleep(liveEveryMs)
  }
  return durationsMs
}

/** What the server says of itself: it may run in a container. */
async function redisCpuUs(url: string): Promise<number> {
  const client = await RespClient.connect(url)
  const info = String(await client.call('INFO', 'cpu'))
  client.close()
  const seconds = ['used_cpu_sys', 'used_cpu_user'].map((name) =>
    Number(new RegExp(`${name}:([\\d.]+)`).exec(info)?.[1]),
  )
  return seconds.reduce((sum, each) => sum + each, 0) * 1e6
}

function listsOf(count: number, items: number): string[][] {
  const addresses = manyTargets(count * items).map((target) => target.slice(1))
  return Array.from({ length: count }, (_, at) => addresses.slice(at * items, (at + 1) * items))
}

/** Where the items came from, as the answer says it. */
async function post(url: string, list: readonly string[]): Promise<string | null> {
  // Compressing the answer is no part of this.
  const headers = { 'accept-encoding': 'identity' }
  const response = await fetch(`${url}/batch`, { method: 'POST', body: JSON.stringify(list), headers })
  await response.arrayBuffer()
  return response.headers.get('ipfleet-items')
}
