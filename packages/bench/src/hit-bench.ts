import { startFakeIpinfo } from '@ipfleet/testing/fake-ipinfo.ts'
import { type LoadGenerator, loadGenerator } from './load.ts'
import { type MeasuredServer, replicaCommand, type ServerCommand, startMeasured } from './measured-server.ts'
import { nginxCommand } from './nginx-server.ts'
import { cpuTimeUs } from './proc-stats.ts'
import { median, spread } from './statistics.ts'
import { manyTargets, warm } from './targets.ts'

export interface HitOptions {
  readonly rounds: number
  readonly seconds: number
  readonly connections: number
  /** How many different answers are asked for in turn. */
  readonly entries: number
  readonly nodeFlags: readonly string[]
  readonly nginxLogBuffer: string | undefined
  readonly progress: (line: string) => void
}

/** One server over all rounds. */
export interface HitSeries {
  readonly server: string
  readonly requests: number
  readonly errors: number
  readonly cpuUsPerRequest: number
  /** Of the rounds: least and most. */
  readonly range: readonly [number, number]
  readonly p99Us: number
}

export interface HitReport {
  readonly load: string
  readonly series: readonly HitSeries[]
  /** CPU time of the replica by that of nginx, round by round; undefined without nginx. */
  readonly ratio: { readonly median: number; readonly range: readonly [number, number] } | undefined
}

interface Round {
  readonly requests: number
  readonly errors: number
  readonly cpuUs: number
  readonly p99Us: number
}

/** Node compiles what is hot while it runs; before that it is another program. */
const warmUpSeconds = 3

/**
 * CPU time per answer out of memory, next to nginx serving the same bodies out of its cache. The servers take turns,
 * so that whatever else the machine does falls on both, and only the ratio within a round counts.
 */
export async function benchHit(options: HitOptions): Promise<HitReport> {
  const fake = await startFakeIpinfo({ requireToken: false })
  const servers: MeasuredServer[] = []
  try {
    const targets = manyTargets(options.entries)
    const env = { IPINFO_KEYS: 'bench-key-1,bench-key-2', IPINFO_BASE_URL: fake.url, CACHE_TTL_SECONDS: '3600' }
    const nginx = nginxCommand({ upstreamUrl: fake.url, logBuffer: options.nginxLogBuffer })
    const commands: ServerCommand[] = [replicaCommand(env, options.nodeFlags), ...(nginx ? [nginx] : [])]
    for (const command of commands) servers.push(await startMeasured(command))
    const generator = loadGenerator()
    for (const { url } of servers) {
      await warm(url, targets)
      await generator.run({ url, targets, connections: options.connections, seconds: warmUpSeconds })
    }
    const asked = fake.calls.length
    const rounds = await alternate(servers, generator, targets, options)
    if (fake.calls.length > asked) throw new Error('upstream was asked in mid-round: these were no hits')
    const names = commands.map(({ name }) => name)
    return {
      load: `${generator.name}, ${options.connections} connections, ${options.rounds} × ${options.seconds} s`,
      series: names.map((name, index) => seriesOf(name, rounds[index] ?? [])),
      ratio: ratioOf(rounds),
    }
  } finally {
    await Promise.all(servers.map((server) => server.stop()))
    await fake.close()
  }
}

/** The rounds of each server. */
async function alternate(
  servers: readonly MeasuredServer[],
  generator: LoadGenerator,
  targets: readonly string[],
  { rounds, seconds, connections, progress }: HitOptions,
): Promise<Round[][]> {
  const results: Round[][] = servers.map(() => [])
  for (let round = 1; round <= rounds; round++) {
    for (const [index, { url, pid }] of servers.entries()) {
      const beforeUs = cpuTimeUs(pid)
      const { requests, errors, p99Us } = await generator.run({ url, targets, connections, seconds })
      results[index]?.push({ requests, errors, cpuUs: cpuTimeUs(pid) - beforeUs, p99Us })
    }
    const costs = results.map((series) => perRequest(series.at(-1)).toFixed(2)).join(' and ')
    progress(`round ${round} of ${rounds}: ${costs} µs`)
  }
  return results
}

function seriesOf(server: string, rounds: readonly Round[]): HitSeries {
  const costs = rounds.map(perRequest)
  return {
    server,
    requests: rounds.reduce((sum, { requests }) => sum + requests, 0),
    errors: rounds.reduce((sum, { errors }) => sum + errors, 0),
    cpuUsPerRequest: median(costs),
    range: spread(costs),
    p99Us: median(rounds.map(({ p99Us }) => p99Us)),
  }
}

function ratioOf([ours = [], theirs = []]: readonly Round[][]): HitReport['ratio'] {
  if (theirs.length === 0) return undefined
  const ratios = ours.map((round, index) => perRequest(round) / perRequest(theirs[index]))
  return { median: median(ratios), range: spread(ratios) }
}

function perRequest(round: Round | undefined): number {
  return round === undefined ? Number.NaN : round.cpuUs / round.requests
}
