import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { atDeathRun } from '@ipfleet/testing/service-process-guard.ts'
import { edgeCommand } from './edge-server.ts'
import { type MeasuredServer, startMeasured } from './measured-server.ts'
import { type PacedReport, pacedLoad } from './paced-load.ts'
import { floods } from './share-floods.ts'
import { median } from './statistics.ts'

export interface ShareOptions {
  readonly rounds: number
  /** Of one measurement. */
  readonly seconds: number
  readonly progress: (line: string) => void
}

/** One flood: what another client met meanwhile, next to what it met without. Medians of the rounds. */
export interface ShareSeries {
  readonly flood: string
  readonly aloneP99Ms: number
  readonly floodedP99Ms: number
  /** Of each round. */
  readonly ratio: number
  /** Requests of the other client that were not answered with 200, over all rounds. */
  readonly errors: number
}

export interface ShareReport {
  readonly load: string
  readonly series: readonly ShareSeries[]
}

const perSecond = 50

/** One client floods the edge in each way; another, at a steady pace, is measured with and without it, in turn. */
export async function benchShare(options: ShareOptions): Promise<ShareReport> {
  const { rounds, seconds, progress } = options
  await using opened = new AsyncDisposableStack()
  const origin = opened.use(await startMeasured(originCommand))
  const edge = opened.use(await startMeasured(edgeCommand({ backends: [origin.url], connections: 1000 })))
  await measure(edge, 3)
  const series: ShareSeries[] = []
  for (const flood of Object.keys(floods)) {
    const pairs: (readonly [alone: PacedReport, flooded: PacedReport])[] = []
    for (let round = 0; round < rounds; round += 1) {
      const alone = await measure(edge, seconds)
      pairs.push([alone, await underFlood(edge, flood, () => measure(edge, seconds))])
    }
    series.push({
      flood,
      aloneP99Ms: median(pairs.map(([alone]) => alone.p99Ms)),
      floodedP99Ms: median(pairs.map(([, flooded]) => flooded.p99Ms)),
      ratio: median(pairs.map(([alone, flooded]) => flooded.p99Ms / alone.p99Ms)),
      errors: pairs.reduce((sum, [, flooded]) => sum + flooded.errors, 0),
    })
    progress(`${flood}: done`)
  }
  return { load: `${perSecond} GETs a second of another client, ${rounds} × ${seconds} s`, series }
}

const originCommand = {
  name: 'origin',
  command: process.execPath,
  args: (port: number) => [fileURLToPath(new URL('share-origin-main.ts', import.meta.url)), String(port)],
}

/** From another address than the flood's, which is this machine's first. */
function measure({ url }: MeasuredServer, seconds: number): Promise<PacedReport> {
  const load = { url, targets: ['/8.8.8.8'], perSecond, localAddress: '127.0.0.2' }
  return pacedLoad(load, AbortSignal.timeout(seconds * 1000))
}

async function underFlood<T>({ port }: MeasuredServer, flood: string, run: () => Promise<T>): Promise<T> {
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
    // The edge sees them go.
    await sleep(200)
  }
}
