import cluster from 'node:cluster'
import { onSignals } from '@ipfleet/http-server/on-signals.ts'
import { LocalRateLimiter } from '@ipfleet/rate-limit/local-rate-limiter.ts'
import type { Logger } from '@ipfleet/telemetry/logger.ts'
import { createMetrics } from '@ipfleet/telemetry/metrics.ts'
import type { Answerers } from './correspondence.ts'
import type { AskedOfPrimary } from './messages.ts'
import { rereadOnHangup, signalsThatStop } from './reread-on-hangup.ts'
import { SummedMetrics } from './summed-metrics.ts'
import type { ReadAgain } from './surroundings.ts'
import { registerWorkerCount } from './worker-metrics.ts'
import { WorkerProcess, type WorkerStart } from './worker-process.ts'
import { WorkerSeat } from './worker-seat.ts'
import { within } from '@ipfleet/core/within.ts'

export interface SuperviseOptions<Config> {
  readonly config: Config
  /** How many workers a configuration wants; a reload may change it. */
  readonly workersOf: (config: Config) => number
  readonly reload: ReadAgain<Config>
  readonly logger: Logger
  /** How long a worker may take to stop, in all, before it is killed. */
  readonly stopWithinMs: number
}

/**
 * Runs workers that share the port: processes with the same program and arguments, in which `serveAsWorker` is called.
 * One that dies is replaced; SIGHUP and the signals to stop reach all through this process. Resolves when all listen,
 * and then logs `{"msg":"listening","host":…,"port":…,"workers":…}`.
 * @throws Error with the first worker's reason when it cannot serve; the caller ends the process
 */
export async function superviseWorkers<Config>(options: SuperviseOptions<Config>): Promise<void> {
  setUpCluster()
  await new Supervisor(options).start()
}

/**
 * The primary accepts and deals connections out in turn, to workers that have taken their last one. Left to the kernel
 * (SCHED_NONE), eight connections of a proxy in front all went to one worker of four, and kept there. It costs the
 * primary about 70 µs a connection, and 15 µs more to say which one in the order of all it is: by that number workers
 * take turns at backends together, without waiting for each other. Values that JSON does not know, undefined and
 * infinite ones, reach the workers too.
 */
function setUpCluster(): void {
  cluster.schedulingPolicy = cluster.SCHED_RR
  cluster.setupPrimary({ serialization: 'advanced' })
}

/** Under a steady stream of new connections there is no end to wait for. */
const dealWithinMs = 500

class Supervisor<Config> {
  readonly #options: SuperviseOptions<Config>
  readonly #logger: Logger
  readonly #own = createMetrics({ defaultMetrics: false })
  readonly #metrics = new SummedMetrics({ own: this.#own })
  readonly #limiter = new LocalRateLimiter()
  readonly #restarts: { inc(): void }
  readonly #answerers: Answerers<AskedOfPrimary>
  readonly #started = Promise.withResolvers<void>()
  readonly #seats: WorkerSeat<Config>[] = []
  #config: Config
  /** Begins anywhere, so that edges which start together differ in whose turn it is. */
  #ordinal = Math.floor(Math.random() * 1e6)
  #listening = false
  #stopping = false

  constructor(options: SuperviseOptions<Config>) {
    this.#options = options
    this.#logger = options.logger
    this.#config = options.config
    this.#restarts = this.#own.counter({
      name: 'ipfleet_edge_worker_restarts_total',
      help: 'Workers that were started in the place of one that had died.',
    })
    registerWorkerCount(this.#own, () => this.#seats.filter(({ worker }) => worker.serves).length)
    this.#answerers = {
      metrics: (format) => this.#metrics.render(format),
      spend: (expenses) =>
        expenses.map(({ subject, policy, spending }) => this.#limiter.spend(subject, policy, spending)),
    }
  }

  async start(): Promise<void> {
    const { reload } = this.#options
    const logger = this.#logger
    rereadOnHangup<Config>({ reload, logger, apply: (config) => this.#reconfigure(config) })
    onSignals({
      signals: signalsThatStop,
      stop: () => this.#stop(),
      // The workers do not hear the signals of the terminal.
      onForcedEnd: () => this.#seats.forEach(({ worker }) => worker.kill()),
      log: logger,
    })
    // The first alone: when the port is taken, Node 26 (lib/internal/cluster/primary.js, queryServer) dies of a
    // TypeError if a second worker has asked for it meanwhile. And its reason has to be told only once.
    const { host, port } = await this.#servingAt(this.#addSeat())
    await Promise.all(Array.from({ length: this.#wanted - 1 }, () => this.#servingAt(this.#addSeat())))
    this.#listening = true
    logger.info({ host, port, workers: this.#seats.length }, 'listening')
    this.#started.resolve()
  }

  get #wanted(): number {
    return this.#options.workersOf(this.#config)
  }

  async #servingAt(seat: WorkerSeat<Config>): Promise<Extract<WorkerStart, { kind: 'ready' }>> {
    const started = await seat.worker.started
    if (started.kind === 'ready') return started
    // It ended because it was told to, and so does this process.
    if (this.#stopping) return new Promise(() => undefined)
    throw new Error(started.reason)
  }

  #addSeat(): WorkerSeat<Config> {
    const instructions = () => ({ config: this.#config, workers: this.#wanted })
    const seat = new WorkerSeat<Config>({
      fork: () => new WorkerProcess({ instructions, answerers: this.#answerers, nextOrdinal: () => ++this.#ordinal }),
      onServing: (worker) => this.#metrics.add(worker),
      onEnded: (worker, { farewell }) => this.#metrics.remove(worker, farewell),
      onReplaced: () => this.#restarts.inc(),
      retry: () => this.#listening,
      logger: this.#logger,
    })
    this.#seats.push(seat)
    return seat
  }

  async #reconfigure(config: Config): Promise<void> {
    await this.#started.promise
    if (this.#stopping) return
    this.#config = config
    for (const seat of this.#seats) seat.worker.instruct()
    while (this.#seats.length < this.#wanted) this.#addSeat()
    for (const seat of this.#seats.splice(this.#wanted)) void seat.retire(this.#options.stopWithinMs)
  }

  async #stop(): Promise<void> {
    this.#stopping = true
    this.#logger.info('stopping')
    await within(dealWithinMs, this.#allDealt())
    await Promise.all(this.#seats.map((seat) => seat.retire(this.#options.stopWithinMs)))
    this.#metrics.close()
    this.#logger.info('stopped')
  }

  /**
   * The kernel and this process may still hold connections that no worker has; the last one to close the port would
   * reset them. Two rounds in which every worker has caught up and none was handed anything say that there are none.
   */
  async #allDealt(): Promise<void> {
    const serving = this.#seats.map(({ worker }) => worker).filter(({ serves }) => serves)
    const dealt = (): number => serving.reduce((sum, worker) => sum + worker.dealt, 0)
    for (let quietRounds = 0; quietRounds < 2;) {
      const before = dealt()
      await Promise.all(serving.map((worker) => worker.caughtUp()))
      quietRounds = dealt() === before ? quietRounds + 1 : 0
    }
  }
}
