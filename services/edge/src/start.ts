import cluster from 'node:cluster'
import { logLevelOf } from '@ipfleet/settings/log-settings.ts'
import { secretsOf } from '@ipfleet/settings/secrets-of.ts'
import { createLogger, type Logger } from '@ipfleet/telemetry/logger.ts'
import { openTracer } from '@ipfleet/telemetry/tracing/open-tracer.ts'
import type { EdgeConfig } from './config/edge-config.ts'
import { edgeOptionsOrExit, edgeSettingsOrExit } from './config/edge-options.ts'
import { type EdgeSettings, settingsSchema, stopWithinMs } from './settings.ts'
import { serveAlone } from './workers/serve-alone.ts'
import { serveAsWorker } from './workers/serve-as-worker.ts'
import { superviseWorkers } from './workers/supervisor.ts'
import type { StartServing } from './workers/serving.ts'

process.title = 'ipfleet-edge'

if (cluster.isWorker) {
  const settings = edgeSettingsOrExit()
  const logger = loggerOf(settings)
  serveAsWorker({ start: starting(settings, logger), logger })
} else {
  const { settings, config, reload } = edgeOptionsOrExit()
  const logger = loggerOf(settings)
  try {
    if (workersOf(config) === 1) await serveAlone({ config, start: starting(settings, logger), reload, logger })
    else await superviseWorkers({ config, workersOf, reload, logger, stopWithinMs: stopWithinMs(settings) })
  } catch (error) {
    logger.fatal(error instanceof Error ? error.message : String(error))
    process.exit(1)
  }
}

function workersOf({ server }: EdgeConfig): number {
  return server.workers
}

function loggerOf(settings: EdgeSettings): Logger {
  const secrets = secretsOf(settingsSchema, settings)
  return createLogger({ level: logLevelOf(settings), format: settings.LOG_FORMAT, secrets, service: 'edge' })
}

function starting(settings: EdgeSettings, logger: Logger): StartServing<EdgeConfig> {
  return async (config, servingDeps) => {
    // Loaded where it is to run: `--help`, `--check` and the supervisor of workers do without most of the program.
    const { Edge } = await import('./service.ts')
    const tracer = await openTracer({ settings, service: 'edge', logger })
    return Edge.start(config, { settings, logger, tracer, servingDeps })
  }
}
