import cluster from 'node:cluster'
import { secretsOf } from '@ipfleet/settings/secrets-of.ts'
import { createLogger } from '@ipfleet/telemetry/logger.ts'
import type { EdgeConfig } from './config/edge-config.ts'
import { Edge, stopWithinMs } from './edge.ts'
import { edgeOptionsOrExit } from './edge-options.ts'
import { logLevelOf, settingsSchema } from './settings.ts'
import { serveAlone } from './workers/serve-alone.ts'
import { serveAsWorker } from './workers/serve-as-worker.ts'
import { superviseWorkers } from './workers/supervisor.ts'
import type { Surroundings } from './workers/surroundings.ts'

process.title = 'ipfleet-edge'

const { settings, config, reload } = edgeOptionsOrExit()
const logger = createLogger({
  level: logLevelOf(settings),
  format: settings.LOG_FORMAT,
  secrets: secretsOf(settingsSchema, settings),
})
const workersOf = ({ server }: EdgeConfig): number => server.workers
const start = (inForce: EdgeConfig, surroundings: Surroundings) =>
  Edge.start(inForce, { settings, logger, surroundings })

try {
  if (cluster.isWorker) {
    serveAsWorker({ start, logger })
  } else if (workersOf(config) === 1) {
    await serveAlone({ config, start, reload, logger })
  } else {
    await superviseWorkers({ config, workersOf, reload, logger, stopWithinMs: stopWithinMs(settings) })
  }
} catch (error) {
  logger.fatal(error instanceof Error ? error.message : String(error))
  process.exit(1)
}
