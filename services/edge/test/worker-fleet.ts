import { writeFile } from 'node:fs/promises'
import { Agent, request, type RequestOptions } from 'node:http'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { startService, type ServiceProcess } from '@ipfleet/testing/service-process.ts'
import { temporaryFolder } from '@ipfleet/testing/service-process-folder.ts'
import { until } from '@ipfleet/testing/until.ts'

/** What `fixture-workers.ts` reads. */
export interface FixtureConfig {
  readonly port: number
  readonly workers: number
  readonly greeting: string
  readonly limit?: number
}

export interface WorkerFleet extends ServiceProcess {
  /** Writes the file; text stands for itself. */
  configure(config: Partial<FixtureConfig> | string): Promise<void>
  /** Asks on a connection of its own, unless an agent is given. Rejects when the connection dies. */
  readonly ask: (path?: string, options?: RequestOptions) => Promise<Answer>
  /** Ends the primary and its workers, whatever they do. */
  killAll(): Promise<void>
  /** The processes that answer, once there are that many. */
  pids(count: number): Promise<number[]>
  /** A metric's value, by its name and labels as they are written; undefined when there is none. */
  metric(series: string): Promise<number | undefined>
}

export interface Answer {
  readonly status: number
  readonly body: string
}

const entry = fileURLToPath(new URL('fixture-workers.ts', import.meta.url))
const usual: FixtureConfig = { port: 0, workers: 4, greeting: 'hello' }

/** The fixture program with this configuration. Rejects as `startService` does. */
export async function startWorkers(config: Partial<FixtureConfig> = {}): Promise<WorkerFleet> {
  const folder = await temporaryFolder('workers')
  const file = join(folder.path, 'config.json')
  const configure: WorkerFleet['configure'] = (next) =>
    writeFile(file, typeof next === 'string' ? next : JSON.stringify({ ...usual, ...config, ...next }))
  await configure({})
  const service = await startService({ entry, args: [file], name: 'fixture' }).catch(async (error: unknown) => {
    await folder.remove()
    throw error
  })
  void service.exited.finally(() => folder.remove())
  const ask: WorkerFleet['ask'] = (path = '/', options = {}) => askAt(service.port, path, options)
  return {
    ...service,
    configure,
    ask,
    killAll: async () => {
      killGroup(service.pid)
      await service.exited
    },
    pids: (count) => until(async () => pidsBehind(ask, count)),
    metric: async (series) => metricIn((await ask('/metrics')).body, series),
  }
}

/** A worker that hangs does not notice that its primary is gone. */
function killGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGKILL')
  } catch {
    // Nobody of it is left.
  }
}

async function askAt(port: number, path: string, options: RequestOptions): Promise<Answer> {
  const req = request({ port, host: '127.0.0.1', path, agent: false, ...options }).end()
  const [res] = await once(req, 'response')
  return { status: res.statusCode, body: await text(res) }
}

async function pidsBehind(ask: WorkerFleet['ask'], count: number): Promise<number[] | undefined> {
  const answers = await Promise.all(Array.from({ length: 3 * count }, () => ask().catch(() => undefined)))
  const pids = answers.flatMap((answer) => (answer ? [Number(JSON.parse(answer.body).pid)] : []))
  const distinct = [...new Set(pids)]
  return distinct.length === count ? distinct : undefined
}

export function metricIn(body: string, series: string): number | undefined {
  const line = body.split('\n').find((each) => each.startsWith(`${series} `))
  return line === undefined ? undefined : Number(line.slice(series.length + 1))
}

/** Keeps one connection. */
export function keepAlive(): Agent {
  return new Agent({ keepAlive: true, maxSockets: 1 })
}

export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
