import { startTestRedis } from '@ipfleet/testing/test-redis.ts'
import { startService } from '@ipfleet/testing/service-process.ts'
import { fakeEntry } from './fake-upstream.ts'
import { loadGenerator } from './load.ts'
import { type MeasuredServer, replicaCommand, startMeasured } from './measured-server.ts'
import { countMissWaits, type MissWaits } from './miss-waits.ts'
import { nginxCacheCommand } from './nginx-cache.ts'
import { loadText, oneRound, type RoundsOptions } from './rounds.ts'
import { cpuUsPerRequest, type Ratio, ratioOf, type Round, type Series, seriesOf } from './series.ts'
import { median } from './statistics.ts'
import { manyTargets } from './targets.ts'

export interface MissOptions extends RoundsOptions {
  /** Of upstream. */
  readonly latencyMs: number
  readonly nodeFlags: readonly string[]
  readonly nginxLogBuffer: string | undefined
}

export interface MissReport {
  readonly load: string
  readonly series: readonly Series[]
  /** Of the replica to nginx; undefined without nginx. */
  readonly peer: { readonly ratio: Ratio; readonly addedP50Ms: number; readonly addedP99Ms: number } | undefined
  readonly waits: MissWaits
}

type LatencyRound = Round & { readonly p50Us: number }

/**
 * Rounds whose results do not count: Node compiles what is hot while it runs, and a miss is hot code for some ten thousand
 * of them. More connections make them sooner.
 */
const warmUpRounds = 3
const warmUpConnections = 64

/** CPU time and added wait per cold miss, each address asked for once, next to nginx that has to ask the same upstream. */
export async function benchMiss(options: MissOptions): Promise<MissReport> {
  const waits = await countMissWaits()
  await using opened = new AsyncDisposableStack()
  const fakeArgs = ['--port', '0', '--max-calls', '100', '--allow-keyless', '--latency-ms', String(options.latencyMs)]
  const fake = await startService({ entry: fakeEntry, args: fakeArgs })
  opened.defer(async () => void (await fake.stop()))
  const redis = await startTestRedis()
  opened.defer(() => redis.stop())
  const env = { IPINFO_KEYS: 'bench-key-1,bench-key-2', IPINFO_BASE_URL: fake.url, REDIS_URL: redis.url }
  const nginx = nginxCacheCommand({ upstreamUrl: fake.url, logBuffer: options.nginxLogBuffer })
  const servers: MeasuredServer[] = []
  for (const command of [replicaCommand(env, options.nodeFlags), ...(nginx ? [nginx] : [])]) {
    servers.push(opened.use(await startMeasured(command)))
  }
  const [ours = [], theirs] = await rounds(servers, options)
  return {
    load: `${loadText({ generator: loadGenerator(), targets: [] }, options)}, upstream after ${options.latencyMs} ms`,
    series: servers.map(({ name }, index) => seriesOf(name, [ours, theirs ?? []][index] ?? [])),
    peer: theirs && {
      ratio: ratioOf(ours, theirs),
      addedP50Ms: added(ours, theirs, ({ p50Us }) => p50Us),
      addedP99Ms: added(ours, theirs, ({ p99Us }) => p99Us),
    },
    waits,
  }
}

/** Of each server. */
async function rounds(servers: readonly MeasuredServer[], options: MissOptions): Promise<LatencyRound[][]> {
  const { connections, seconds, latencyMs, progress } = options
  const generator = loadGenerator()
  // More than upstream lets through in a round.
  const most = Math.max(connections, warmUpConnections)
  const perRound = Math.ceil((most * seconds * 1000) / latencyMs) + most
  const results: LatencyRound[][] = servers.map(() => [])
  for (let round = 1 - warmUpRounds; round <= options.rounds; round += 1) {
    const targets = manyTargets(perRound, (round + warmUpRounds) * perRound)
    const load = { targets, seconds, connections: round < 1 ? most : connections }
    const taken = await oneRound(servers, ({ url }) => generator.run({ ...load, url }))
    if (round < 1) continue
    for (const [index, one] of taken.entries()) results[index]?.push(one)
    const costs = servers.map(({ name }, index) => `${name} ${cpuUsPerRequest(taken[index]).toFixed(0)}`)
    progress(`round ${round} of ${options.rounds}: ${costs.join(', ')} µs`)
  }
  return results
}

/** Milliseconds that ours takes longer; the median of the rounds. */
function added(
  ours: readonly LatencyRound[],
  theirs: readonly LatencyRound[],
  valueOf: (round: LatencyRound) => number,
): number {
  return median(ours.map((round, index) => (valueOf(round) - valueOf(theirs[index] ?? round)) / 1000))
}
