import { onSignals } from '@ipfleet/http-server/on-signals.ts'
import { LocalRateLimiter } from '@ipfleet/rate-limit/local-rate-limiter.ts'
import type { Logger } from '@ipfleet/telemetry/logger.ts'
import { createMetrics } from '@ipfleet/telemetry/metrics.ts'
import { rereadOnHangup, signalsThatStop } from './reread-on-hangup.ts'
import type { ReadAgain, Serving, StartServing, Surroundings } from './surroundings.ts'
import { registerWorkerCount } from './worker-metrics.ts'

export interface ServeAloneOptions<Config> {
  readonly config: Config
  readonly start: StartServing<Config>
  readonly reload: ReadAgain<Config>
  readonly logger: Logger
}

/**
 * Serves in this one process, until a signal stops it. Resolves when it listens, and then logs
 * `{"msg":"listening","host":…,"port":…,"workers":1}`.
 * @throws what `start` throws
 */
export async function serveAlone<Config>({ config, start, reload, logger }: ServeAloneOptions<Config>): Promise<void> {
  const starting = Promise.withResolvers<Serving<Config>>()
  rereadOnHangup<Config>({ reload, logger, apply: async (reread) => (await starting.promise).reconfigure(reread) })
  onSignals({
    signals: signalsThatStop,
    log: logger,
    stop: async () => {
      logger.info('stopping')
      await (await starting.promise).stop()
      logger.info('stopped')
    },
  })
  const serving = await start(config, lonely())
  starting.resolve(serving)
  logger.info({ host: serving.host, port: serving.port, workers: 1 }, 'listening')
}

function lonely(): Surroundings {
  const metrics = createMetrics()
  registerWorkerCount(metrics, () => 1)
  const limiter = new LocalRateLimiter()
  return {
    metrics,
    render: (format) => metrics.render(format),
    limiter: () => limiter,
    onDealt: () => undefined,
    workers: 1,
  }
}
