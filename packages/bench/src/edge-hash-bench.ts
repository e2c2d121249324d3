import { startFakeIpinfo } from '@ipfleet/testing/fake-ipinfo.ts'
import { startTestRedis } from '@ipfleet/testing/test-redis.ts'
import { zipfPaths } from '@ipfleet/testing/zipf-paths.ts'
import { edgeCommand } from './edge-server.ts'
import { replicaCommand, startMeasured } from './measured-server.ts'

export interface EdgeHashOptions {
  /** That are counted, after as many that fill the memories. */
  readonly requests: number
  /** How many addresses are asked for again and again. */
  readonly addresses: number
  /** That each replica keeps in memory. */
  readonly entries: number
  readonly progress: (line: string) => void
}

/** One traffic, balanced in both ways. */
export interface HashSeries {
  /** Of the Zipf distribution: the higher, the more a few addresses make up the traffic. */
  readonly exponent: number
  /** Answers out of a replica's memory, as a share of all. */
  readonly roundRobin: number
  readonly hash: number
}

export interface EdgeHashReport {
  readonly load: string
  readonly series: readonly HashSeries[]
}

const replicas = 3
const clients = 32
const oneOffShare = 0.1
const exponents = [0.8, 1.1]

/** What the fleet answers from memory when the edge gives each address to one replica, and when it does not. */
export async function benchEdgeHash(options: EdgeHashOptions): Promise<EdgeHashReport> {
  const { requests, addresses, entries, progress } = options
  const series: HashSeries[] = []
  for (const exponent of exponents) {
    const paths = zipfPaths({ requests: 2 * requests, popular: addresses, oneOffShare, exponent })
    const roundRobin = await memoryShare('round-robin', paths, entries)
    const hash = await memoryShare('hash', paths, entries)
    progress(`s = ${exponent}: ${roundRobin.toFixed(3)} and ${hash.toFixed(3)}`)
    series.push({ exponent, roundRobin, hash })
  }
  const traffic = `${requests} requests, ${addresses} addresses and ${oneOffShare * 100}% asked for once`
  return { load: `${traffic}, ${replicas} replicas with ${entries} entries`, series }
}

/** Of a fresh fleet: the first half of the requests fills it, the second half is counted. */
async function memoryShare(
  balance: 'round-robin' | 'hash',
  paths: readonly string[],
  entries: number,
): Promise<number> {
  await using opened = new AsyncDisposableStack()
  const fake = await startFakeIpinfo({ maxCalls: 1 })
  opened.defer(() => fake.close())
  const redis = await startTestRedis()
  opened.defer(() => redis.stop())
  const env = {
    IPINFO_KEYS: 'bench-key-1,bench-key-2',
    IPINFO_BASE_URL: fake.url,
    REDIS_URL: redis.url,
    CACHE_MAX_ENTRIES: String(entries),
  }
  const backends: string[] = []
  for (let count = 0; count < replicas; count += 1) {
    backends.push(opened.use(await startMeasured(replicaCommand(env))).url)
  }
  const edge = opened.use(await startMeasured(edgeCommand({ backends, balance })))
  const half = paths.length / 2
  await countFromMemory(edge.url, paths.slice(0, half))
  return (await countFromMemory(edge.url, paths.slice(half))) / half
}

/** How many of the answers say that they come from L1. Throws when one is not a 200. */
async function countFromMemory(url: string, paths: readonly string[]): Promise<number> {
  let fromMemory = 0
  const left = paths.values()
  const client = async (): Promise<void> => {
    for (const path of left) {
      const response = await fetch(`${url}${path}`)
      await response.arrayBuffer()
      if (response.status !== 200) throw new Error(`${path} answered ${response.status}`)
      if (isFromMemory(response.headers.get('cache-status') ?? '')) fromMemory += 1
    }
  }
  await Promise.all(Array.from({ length: clients }, client))
  return fromMemory
}

const isFromMemory = (cacheStatus: string): boolean => /; detail=l1\b/.test(cacheStatus)
