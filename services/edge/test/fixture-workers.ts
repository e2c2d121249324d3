import cluster from 'node:cluster'
import { writeSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { gracefulClose } from '@ipfleet/http-server/graceful-close.ts'
import { listen } from '@ipfleet/http-server/listen.ts'
import { createLogger } from '@ipfleet/telemetry/logger.ts'
import { serveAlone } from '../src/workers/serve-alone.ts'
import { serveAsWorker } from '../src/workers/serve-as-worker.ts'
import { superviseWorkers } from '../src/workers/supervisor.ts'
import type { Reloaded, Serving, ServingDeps } from '../src/workers/serving.ts'

// Run by the tests of the workers: a small server in the place of the edge. Its argument is a file with:
interface Config {
  readonly port: number
  readonly workers: number
  readonly greeting: string
  readonly limit?: number
  /** Undefined in the file: so that a worker gets a value that JSON does not know. */
  readonly nothing?: undefined
  readonly endless?: number
}

const [, , file = ''] = process.argv
const host = '127.0.0.1'
const logger = createLogger({ level: 'info', format: 'json', secrets: [] })

async function reload(): Promise<Reloaded<Config>> {
  try {
    const config = JSON.parse(await readFile(file, 'utf8')) as Config
    return { kind: 'config', config: { ...config, nothing: undefined, endless: Infinity } }
  } catch (error) {
    return { kind: 'faults', text: String(error) }
  }
}

async function start(first: Config, servingDeps: ServingDeps): Promise<Serving<Config>> {
  let config = first
  const { metrics } = servingDeps
  const requests = metrics.hotCounter({ name: 'requests_total', help: 'R.', labels: { path: ['/', 'other'] } })
  const durations = metrics.hotHistogram({ name: 'd_seconds', help: 'D.', labels: {}, bucketsMs: [1, 1000] })
  const limiter = servingDeps.limiter()

  const routes: Record<string, (req: IncomingMessage, res: ServerResponse) => unknown> = {
    '/metrics': async (_req, res) => res.end((await servingDeps.render('prometheus')).body),
    '/limited': async (_req, res) => {
      const policy = { kind: 'sliding-window', limit: config.limit ?? 10, windowMs: 60_000 } as const
      const now = limiter.takeNow('client', policy)
      const decision = now ?? (await limiter.take('client', policy))
      res.statusCode = decision.kind === 'allowed' ? 200 : 429
      res.end(JSON.stringify({ ...decision, pid: process.pid, fromMemory: now !== undefined }))
    },
    '/slow': async (_req, res) => {
      writeSync(1, '{"msg":"slow"}\n')
      await sleep(500)
      res.end('slow')
    },
    '/never': () => writeSync(1, '{"msg":"slow"}\n'),
    '/exit': () => process.exit(7),
    '/loop': () => {
      writeSync(1, '{"msg":"looping"}\n')
      for (;;);
    },
  }
  const server = createServer((req, res) => {
    const path = req.url ?? '/'
    requests.series({ path: path === '/' ? '/' : 'other' }).inc()
    durations.series({}).observeMs(2)
    const route = routes[path]
    if (route) return void route(req, res)
    const { greeting, endless } = config
    res.end(JSON.stringify({ pid: process.pid, greeting, workers: servingDeps.workers, endless: String(endless) }))
  })
  if (first.greeting === 'broken') throw new Error('a broken greeting')
  const port = await listen(server, { port: config.port, host })
  return {
    host,
    port,
    reconfigure: (next) => {
      if (next.greeting === 'broken') throw new Error('a broken greeting')
      config = next
    },
    stop: () => gracefulClose(server, { drainMs: 0 }),
  }
}

async function main(): Promise<void> {
  if (cluster.isWorker) return serveAsWorker({ start, logger })
  const read = await reload()
  if (read.kind === 'faults') throw new Error(read.text)
  const { config } = read
  if (config.workers === 1) await serveAlone({ config, start, reload, logger })
  else await superviseWorkers({ config, workersOf: ({ workers }) => workers, reload, logger, stopWithinMs: 11_000 })
}

try {
  await main()
} catch (error) {
  logger.fatal(error instanceof Error ? error.message : String(error))
  process.exit(1)
}
