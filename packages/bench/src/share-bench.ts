import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { atDeathRun } from '@ipfleet/testing/service-process-guard.ts'
import { type PacedReport, pacedLoad } from './paced-load.ts'
import { residentBytes } from './proc-stats.ts'
import { type FloodedServer, floods } from './share-floods.ts'
import { type ShareServer, startShareServers } from './share-servers.ts'
import { median } from './statistics.ts'

export interface ShareOptions {
  readonly rounds: number
  /** Of one measurement. */
  readonly seconds: number
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
  /** Of the server, after the flood. */
  readonly residentBytes: number
}

export interface ShareReport {
  readonly load: string
  readonly series: readonly ShareSeries[]
}

const perSecond = 50
const quietMs = 50

/** One client floods a server in each way; another, at a steady pace, is measured with and without it, in turn. */
export async function benchShare(options: ShareOptions): Promise<ShareReport> {
  const { rounds, seconds, progress } = options
  await using servers = await startShareServers()
  for (const server of Object.values(servers.byName)) await measure(server, 2)
  const series: ShareSeries[] = []
  for (const [name, { server: where }] of Object.entries(floods)) {
    const server = servers.byName[where]
    const pairs: (readonly [alone: PacedReport, flooded: PacedReport])[] = []
    for (let round = 0; round < rounds; round += 1) {
      const alone = await measure(server, seconds)
      pairs.push([alone, await underFlood(server, name, () => measure(server, seconds))])
      await quiet(server)
    }
    const one = {
      server: where,
      flood: name,
      aloneP99Ms: median(pairs.map(([alone]) => alone.p99Ms)),
      floodedP99Ms: median(pairs.map(([, flooded]) => flooded.p99Ms)),
      ratio: median(pairs.map(([alone, flooded]) => flooded.p99Ms / alone.p99Ms)),
      errors: pairs.reduce((sum, [, flooded]) => sum + flooded.errors, 0),
      residentBytes: residentBytes(server.pid),
    }
    series.push(one)
    progress(`${where}, ${name}: ${one.ratio.toFixed(2)}, ${one.errors} errors`)
  }
  return { load: `${perSecond} GETs a second of another client, ${rounds} × ${seconds} s`, series }
}

/** From another address than the flood's, which is this machine's first. */
function measure({ url, target }: ShareServer, seconds: number): Promise<PacedReport> {
  const load = { url, targets: [target], perSecond, localAddress: '127.0.0.2' }
  return pacedLoad(load, AbortSignal.timeout(seconds * 1000))
}

/** Resolves when the server has no more to do with a flood that is over: when it answers as before for half a second. */
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
    await once(child.stdout, 'data')
    return await run()
  } finally {
    child.kill('SIGKILL')
    await exited
    disarm()
  }
}
