import { Agent } from 'node:http'
import { startService } from '@ipfleet/testing/service-process.ts'
import { startTestRedis } from '@ipfleet/testing/test-redis.ts'
import { zipfPaths } from '@ipfleet/testing/zipf-paths.ts'
import { ask } from './ask.ts'
import { fakeEntry } from './fake-upstream.ts'
import { replicaCommand, startMeasured } from './measured-server.ts'
import { type Ratio, ratiosWithin } from './series.ts'
import { median } from './statistics.ts'

export interface ZipfOptions {
  readonly rounds: number
  readonly requests: number
  readonly clients: number
  /** Of upstream. */
  readonly latencyMs: number
  /** The folder of another build, installed; undefined: there is none to compare with. */
  readonly against: string | undefined
  readonly progress: (line: string) => void
}

export interface ZipfReport {
  readonly load: string
  /** Medians of the rounds. */
  readonly wallMs: number
  readonly againstMs: number | undefined
  /** Of this build to the other one, within each round. */
  readonly ratio: Ratio | undefined
}

const replicas = 4
const distribution = { popular: 10_000, oneOffShare: 0.1, exponent: 1.1 }

/** How long a fresh fleet takes over traffic that asks for a few addresses often and for many seldom. */
export async function benchZipf(options: ZipfOptions): Promise<ZipfReport> {
  const { rounds, requests, clients, latencyMs, against, progress } = options
  const paths = zipfPaths({ requests, ...distribution })
  const ours: number[] = []
  const theirs: number[] = []
  for (let round = 1; round <= rounds; round += 1) {
    ours.push(await wallTimeMs(paths, options, undefined))
    if (against !== undefined) theirs.push(await wallTimeMs(paths, options, against))
    progress(`round ${round} of ${rounds}: ${[ours.at(-1), theirs.at(-1)].map((ms) => ms?.toFixed(0)).join(', ')} ms`)
  }
  return {
    load: `${requests} requests, ${clients} clients, ${replicas} replicas, upstream after ${latencyMs} ms`,
    wallMs: median(ours),
    againstMs: against === undefined ? undefined : median(theirs),
    ratio: against === undefined ? undefined : ratiosWithin(ours, theirs, (ms = Number.NaN) => ms),
  }
}

async function wallTimeMs(
  paths: readonly string[],
  { clients, latencyMs }: ZipfOptions,
  build: string | undefined,
): Promise<number> {
  await using opened = new AsyncDisposableStack()
  const fakeArgs = ['--port', '0', '--max-calls', '1', '--allow-keyless', '--latency-ms', String(latencyMs)]
  const fake = await startService({ entry: fakeEntry, args: fakeArgs })
  opened.defer(async () => void (await fake.stop()))
  const redis = await startTestRedis()
  opened.defer(() => redis.stop())
  const env = {
    IPINFO_KEYS: 'bench-key-1,bench-key-2',
    IPINFO_BASE_URL: fake.url,
    REDIS_URL: redis.url,
    // No request is given up on a busy machine.
    REQUEST_TIMEOUT_MS: '25000',
  }
  const urls: string[] = []
  for (let count = 0; count < replicas; count += 1) {
    urls.push(opened.use(await startMeasured(replicaCommand(env, [], build))).url)
  }
  const agent = new Agent({ keepAlive: true })
  opened.defer(() => agent.destroy())
  const left = paths.values()
  const client = async (index: number): Promise<void> => {
    const url = urls[index % replicas]
    for (const path of left) if (!(await ask(agent, `${url}${path}`))) throw new Error(`${path} was not answered`)
  }
  const startedMs = performance.now()
  await Promise.all(Array.from({ length: clients }, (_, index) => client(index)))
  return performance.now() - startedMs
}
