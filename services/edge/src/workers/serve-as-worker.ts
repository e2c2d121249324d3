import cluster from 'node:cluster'
import { SharedRateLimiter } from '@ipfleet/rate-limit/shared-rate-limiter.ts'
import type { Logger } from '@ipfleet/telemetry/logger.ts'
import type { Exposition, ExpositionFormat } from '@ipfleet/telemetry/exposition.ts'
import { createMetrics } from '@ipfleet/telemetry/metrics.ts'
import {
  type PrimaryMethods,
  type WorkerMethods,
  type FromPrimary,
  type FromWorker,
  type Instructions,
  decoded,
  encoded,
} from './messages.ts'
import { PrimaryCounter } from './primary-counter.ts'
import { Rpc } from './rpc.ts'
import type { Serving, StartServing, ServingDeps } from './serving.ts'
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
  readonly #rpc: Rpc<PrimaryMethods, WorkerMethods>
  readonly #servingDeps: ServingDeps
  #workers = 1
  #serving: Serving<Config> | undefined
  #onAssigned: (ordinal: number) => void = () => undefined
  /** The last of what was to be done by instructions: one after the other. */
  #latest: Promise<void> = Promise.resolve()
  #stopping = false

  constructor({ start, logger }: ServeAsWorkerOptions<Config>) {
    this.#start = start
    this.#logger = logger
    this.#rpc = new Rpc((message) => void this.#send(message), {
      snapshot: () => this.#metrics.snapshot(),
      echo: () => true,
    })
    this.#servingDeps = this.#makeServingDeps()
    process.on('message', (received) => this.#receive(received))
    cluster.worker?.on('disconnect', () => this.#primaryGone())
    void this.#send({ kind: 'hello' })
  }

  #receive(received: unknown): void {
    const read = decoded<FromPrimary<Config>>(received)
    if (read.kind !== 'message') return
    const { message } = read
    if (message.kind === 'instructions') this.#follow(message.instructions)
    else if (message.kind === 'assigned') this.#onAssigned(message.ordinal)
    else if (message.kind === 'stop') void this.#stop()
    else this.#rpc.receive(message)
  }

  #primaryGone(): void {
    // Otherwise Node 26 (lib/internal/cluster/child.js) ends the process right after this, with all its requests.
    if (cluster.worker) cluster.worker.exitedAfterDisconnect = true
    this.#rpc.close()
    void this.#stop()
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
      await this.#send({ kind: 'failed', reason: error instanceof Error ? error.message : String(error) })
      process.exit(1)
    }
    const { host, port } = this.#serving
    await this.#send({ kind: 'ready', host, port })
  }

  async #reconfigure(config: Config): Promise<void> {
    try {
      await this.#serving?.reconfigure(config)
    } catch (error) {
      this.#logger.error({ err: error }, 'a worker could not take over the configuration')
    }
  }

  async #stop(): Promise<void> {
    if (this.#stopping) return
    this.#stopping = true
    try {
      await this.#serving?.stop()
      await this.#send({ kind: 'final-snapshot', snapshot: await this.#metrics.snapshot() })
    } catch (error) {
      this.#logger.error({ err: error }, 'a worker could not stop cleanly')
      process.exit(1)
    }
    process.exit(0)
  }

  #makeServingDeps(): ServingDeps {
    const counter = new PrimaryCounter({ ask: (expenses) => this.#rpc.call('spend', expenses) })
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
    const rendered = await within(metricsWithinMs, this.#rpc.call('metrics', format))
    if (rendered === undefined) throw new Error('The primary process did not give the metrics of all workers')
    return rendered
  }

  /** Resolves when it is on its way, so that the process may end; or when there is no primary to send it to. */
  #send(message: FromWorker): Promise<void> {
    return new Promise((resolve) => {
      if (process.send === undefined || !process.connected) return resolve()
      process.send(encoded(message), undefined, undefined, () => resolve())
    })
  }
}
