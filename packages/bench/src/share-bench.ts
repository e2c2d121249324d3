import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { atDeathRun } from '@ipfleet/testing/service-process-guard.ts'
import { type PacedReport, pacedLoad } from './paced-load.ts'
import { peakBytes } from './proc-stats.ts'
import { type Flood, type FloodedServer, floods } from './share-floods.ts'
import { type ShareServer, startShareServers } from './share-servers.ts'
import { median } from './statistics.ts'

export interface ShareOptions {
  readonly rounds: number
  /** Of one measurement. */
  readonly seconds: number
  /** Of the floods; none: all. */
  readonly names: readonly string[]
  /** Of the servers. */
  readonly nodeFlags: readonly string[]
  readonly progress: (line: string) => void
}

/** One flood: what another client met meanwhile, next to what it met without. Medians of the rounds. */
export interface ShareSeries {
  readonly server: FloodedServer
  readonly flood: string
  readonly aloneP99Ms: number
  readonly floodedP99Ms: number
  /** Of each round. */
  readonly ratio: number
  /** Requests of the other client that were not answered with 200, over all rounds. */
  readonly errors: number
  /** Of the server, up to the end of this flood. */
  readonly peakBytes: number | undefined
  /** How often it was killed for taking more memory than its container has. */
  readonly kills: number | undefined
}

export interface ShareReport {
  readonly load: string
  readonly series: readonly ShareSeries[]
}

const perSecond = 50
const quietMs = 50
const beginMs = 10_000

/** @throws RangeError for a flood that does not exist */
function chosenFloods(names: readonly string[]): readonly (readonly [name: string, flood: Flood])[] {
  const unknown = names.find((name) => !Object.hasOwn(floods, name))
  if (unknown !== undefined) {
    throw new RangeError(`There is no flood '${unknown}'; there are: ${Object.keys(floods).join(', ')}`)
  }
  return Object.entries(floods).filter(([name]) => names.length === 0 || names.includes(name))
}

/** One client floods a server in each way; another, at a steady pace, is measured with and without it, in turn. */
export async function benchShare(options: ShareOptions): Promise<ShareReport> {
  const { rounds, seconds, names, progress } = options
  const series: ShareSeries[] = []
  for (const [name, { server }] of chosenFloods(names)) {
    const one = await measureFlood(name, server, options)
    series.push(one)
    progress(`${server}, ${name}: ${one.ratio.toFixed(2)}, ${one.errors} errors`)
  }
  return { load: `${perSecond} GETs a second of another client, ${rounds} × ${seconds} s`, series }
}

/** With servers of its own, whose memory tells of this flood only. */
async function measureFlood(
  flood: string,
  where: FloodedServer,
  { rounds, seconds, nodeFlags }: ShareOptions,
): Promise<ShareSeries> {
  await using servers = await startShareServers(nodeFlags)
  const server = servers.byName[where]
  await measure(server, 2)
  const pairs: (readonly [alone: PacedReport, flooded: PacedReport])[] = []
  for (let round = 0; round < rounds; round += 1) {
    await quiet(server)
    const alone = await measure(server, seconds)
    pairs.push([alone, await underFlood(server, flood, () => measure(server, seconds))])
    if (server.memory && server.memory.kills() > 0) break
  }
  return {
    server: where,
    flood,
    aloneP99Ms: median(pairs.map(([alone]) => alone.p99Ms)),
    floodedP99Ms: median(pairs.map(([, flooded]) => flooded.p99Ms)),
    ratio: median(pairs.map(([alone, flooded]) => flooded.p99Ms / alone.p99Ms)),
    errors: pairs.reduce((sum, [, flooded]) => sum + flooded.errors, 0),
    peakBytes: server.memory?.peakBytes() ?? peakBytes(server.pid),
    kills: server.memory?.kills(),
  }
}

/** From another address than the flood's, which is this machine's first. */
function measure({ url, target }: ShareServer, seconds: number): Promise<PacedReport> {
  const load = { url, targets: [target], perSecond, localAddress: '127.0.0.2' }
  return pacedLoad(load, AbortSignal.timeout(seconds * 1000))
}

/** Resolves when the server has no more to do with a flood that is over, and answers as before; after ten seconds at most. */
async function quiet(server: ShareServer): Promise<void> {
  await sleep(200)
  for (let round = 0; round < 20; round += 1) {
    const { p99Ms } = await measure(server, 0.5)
    if (p99Ms < quietMs) return
  }
}

async function underFlood<T>({ port }: ShareServer, flood: string, run: () => Promise<T>): Promise<T> {
  const entry = fileURLToPath(new URL('share-flood-main.ts', import.meta.url))
  const child = spawn(process.execPath, [entry, String(port), flood], { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  const disarm = atDeathRun(`kill -s KILL ${child.pid}`)
  try {
    // Of a server that it has killed it would never say so.
    await Promise.race([once(child.stdout, 'data'), sleep(beginMs)])
    return await run()
  } finally {
    child.kill('SIGKILL')
    await exited
    disarm()
  }
}
