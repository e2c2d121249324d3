import { onSignals } from '@ipfleet/http-server/on-signals.ts'
import { LocalRateLimiter } from '@ipfleet/rate-limit/local-rate-limiter.ts'
import type { Logger } from '@ipfleet/telemetry/logger.ts'
import { createMetrics } from '@ipfleet/telemetry/metrics.ts'
import { reloadOnHangup, stopSignals } from './reload-on-hangup.ts'
import { registerWorkerCount, type Reload, type Serving, type StartServing, type ServingDeps } from './serving.ts'

export interface ServeAloneOptions<Config> {
  readonly config: Config
  readonly start: StartServing<Config>
  readonly reload: Reload<Config>
  readonly logger: Logger
}

/**
 * Serves in this one process, until a signal stops it. Resolves when it listens, and then logs
 * `{"msg":"listening","host":…,"port":…,"workers":1}`.
 * @throws what `start` throws
 */
export async function serveAlone<Config>({ config, start, reload, logger }: ServeAloneOptions<Config>): Promise<void> {
  const starting = Promise.withResolvers<Serving<Config>>()
  reloadOnHangup<Config>({ reload, logger, apply: async (reread) => (await starting.promise).reconfigure(reread) })
  onSignals({
    signals: stopSignals,
    log: logger,
    stop: async () => {
      logger.info('stopping')
      await (await starting.promise).stop()
      logger.info('stopped')
    },
  })
  const serving = await start(config, soleProcessDeps())
  starting.resolve(serving)
  logger.info({ host: serving.host, port: serving.port, workers: 1 }, 'listening')
}

function soleProcessDeps(): ServingDeps {
  const metrics = createMetrics()
  registerWorkerCount(metrics, () => 1)
  const limiter = new LocalRateLimiter()
  return {
    metrics,
    render: (format) => metrics.render(format),
    limiter: () => limiter,
    onAssigned: () => undefined,
    workers: 1,
  }
}
