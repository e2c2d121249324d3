import { SharedRateLimiter } from '@ipfleet/rate-limit/shared-rate-limiter.ts'
import type { Logger } from '@ipfleet/telemetry/logger.ts'
import type { Exposition, ExpositionFormat } from '@ipfleet/telemetry/exposition.ts'
import { createMetrics } from '@ipfleet/telemetry/metrics.ts'
import type { Instructions } from './messages.ts'
import { PrimaryCounter } from './primary-counter.ts'
import { PrimarySilent, type Serving, type StartServing, type ServingDeps } from './serving.ts'
import { WorkerChannel } from './worker-channel.ts'
import { within } from '@ipfleet/core/within.ts'

export interface ServeAsWorkerOptions<Config> {
  readonly start: StartServing<Config>
  readonly logger: Logger
}

/**
 * Serves as one of the workers that `superviseWorkers` has started: with the configuration that the primary sends, and
 * until the primary says stop or is gone. Then the process ends.
 */
export function serveAsWorker<Config>(options: ServeAsWorkerOptions<Config>): void {
  // A terminal's Ctrl-C reaches the whole group of processes; workers follow the primary, which knows the order.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)
  // oxlint-disable-next-line no-new -- it lives on the channel's events
  new ServingWorker(options)
}

/** Longer than the primary waits for the other workers. */
const metricsWithinMs = 2000

class ServingWorker<Config> {
  readonly #start: StartServing<Config>
  readonly #logger: Logger
  readonly #metrics = createMetrics()
  readonly #channel: WorkerChannel<Config>
  readonly #servingDeps: ServingDeps
  #workers = 1
  #serving: Serving<Config> | undefined
  #onAssigned: (ordinal: number) => void = () => undefined
  /** The last of what was to be done by instructions: one after the other. */
  #latest: Promise<void> = Promise.resolve()

  constructor({ start, logger }: ServeAsWorkerOptions<Config>) {
    this.#start = start
    this.#logger = logger
    this.#channel = new WorkerChannel<Config>({
      handlers: { snapshot: () => this.#metrics.snapshot(), echo: () => true },
      onInstructions: (instructions) => this.#follow(instructions),
      onAssigned: (ordinal) => this.#onAssigned(ordinal),
      onStop: () => void this.#stop(),
    })
    this.#servingDeps = this.#makeServingDeps()
  }

  #follow({ config, workers }: Instructions<Config>): void {
    this.#workers = workers
    this.#latest = this.#latest.then(() => (this.#serving ? this.#reconfigure(config) : this.#begin(config)))
  }

  async #begin(config: Config): Promise<void> {
    try {
      this.#serving = await this.#start(config, this.#servingDeps)
    } catch (error) {
      this.#logger.debug({ err: error }, 'a worker could not start')
      await this.#channel.failed(error instanceof Error ? error.message : String(error))
      process.exit(1)
    }
    await this.#channel.ready(this.#serving)
  }

  async #reconfigure(config: Config): Promise<void> {
    try {
      await this.#serving?.reconfigure(config)
    } catch (error) {
      this.#logger.error({ err: error }, 'a worker could not take over the configuration')
    }
  }

  async #stop(): Promise<void> {
    try {
      await this.#serving?.stop()
      await this.#channel.finalSnapshot(await this.#metrics.snapshot())
    } catch (error) {
      this.#logger.error({ err: error }, 'a worker could not stop cleanly')
      process.exit(1)
    }
    process.exit(0)
  }

  #makeServingDeps(): ServingDeps {
    const counter = new PrimaryCounter({ ask: (expenses) => this.#channel.call('spend', expenses) })
    const workers = (): number => this.#workers
    return {
      metrics: this.#metrics,
      render: (format) => this.#render(format),
      limiter: (options) => new SharedRateLimiter(counter, { ...options, members: workers }),
      onAssigned: (listener) => {
        this.#onAssigned = listener
      },
      get workers() {
        return workers()
      },
    }
  }

  async #render(format: ExpositionFormat): Promise<Exposition> {
    const rendered = await within(metricsWithinMs, this.#channel.call('metrics', format))
    if (rendered === undefined) throw new PrimarySilent('The primary process did not give the metrics of all workers')
    return rendered
  }
}
