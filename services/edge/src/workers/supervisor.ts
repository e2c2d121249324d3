import cluster from 'node:cluster'
import { onSignals } from '@ipfleet/http-server/on-signals.ts'
import { LocalRateLimiter } from '@ipfleet/rate-limit/local-rate-limiter.ts'
import type { Logger } from '@ipfleet/telemetry/logger.ts'
import { createMetrics } from '@ipfleet/telemetry/metrics.ts'
import type { RpcHandlers } from './rpc.ts'
import type { PrimaryMethods } from './messages.ts'
import { reloadOnHangup, stopSignals } from './reload-on-hangup.ts'
import { SummedMetrics } from './summed-metrics.ts'
import { registerWorkerCount, type Reload } from './serving.ts'
import { WorkerProcess, type WorkerStart } from './worker-process.ts'
import { WorkerSlot } from './worker-slot.ts'
import { within } from '@ipfleet/core/within.ts'

export interface SuperviseOptions<Config> {
  readonly config: Config
  /** How many workers a configuration wants; a reload may change it. */
  readonly workersOf: (config: Config) => number
  readonly reload: Reload<Config>
  readonly logger: Logger
  /** How long a worker may take to stop, in all, before it is killed. */
  readonly stopWithinMs: number
}

/**
 * Runs workers that share the port: processes with the same program and arguments, in which `serveAsWorker` is called.
 * One that dies is replaced; SIGHUP and the signals to stop reach all through this process. Resolves when all listen,
 * and then logs `{"msg":"listening","host":…,"port":…,"workers":…}`.
 *
 * The primary accepts and deals connections out in turn, to workers that have taken their last one. Left to the kernel
 * (SCHED_NONE), eight connections of a proxy in front all went to one worker of four, and kept there. It costs the
 * primary about 70 µs a connection, and 15 µs more to say which one in the order of all it is: by that number workers
 * take turns at backends together, without waiting for each other. Values that JSON does not know, undefined and
 * infinite ones, reach the workers too.
 * @throws Error with the first worker's reason when it cannot serve; the caller ends the process
 */
export async function superviseWorkers<Config>(options: SuperviseOptions<Config>): Promise<void> {
  cluster.schedulingPolicy = cluster.SCHED_RR
  cluster.setupPrimary({ serialization: 'advanced' })
  await new Supervisor(options).start()
}

/** Under a steady stream of new connections there is no end to wait for. Workers of a busy machine stand still for a while. */
const assignWithinMs = 3000

class Supervisor<Config> {
  readonly #options: SuperviseOptions<Config>
  readonly #logger: Logger
  readonly #own = createMetrics({ defaultMetrics: false })
  readonly #metrics = new SummedMetrics({ own: this.#own })
  readonly #limiter = new LocalRateLimiter()
  readonly #restarts: { inc(): void }
  readonly #handlers: RpcHandlers<PrimaryMethods>
  readonly #started = Promise.withResolvers<void>()
  readonly #slots: WorkerSlot<Config>[] = []
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
    registerWorkerCount(this.#own, () => this.#slots.filter(({ worker }) => worker.serves).length)
    this.#handlers = {
      metrics: (format) => this.#metrics.render(format),
      spend: (expenses) =>
        expenses.map(({ subject, policy, spending }) => this.#limiter.spend(subject, policy, spending)),
    }
  }

  async start(): Promise<void> {
    const { reload } = this.#options
    const logger = this.#logger
    reloadOnHangup<Config>({ reload, logger, apply: (config) => this.#reconfigure(config) })
    onSignals({
      signals: stopSignals,
      stop: () => this.#stop(),
      // The workers do not hear the signals of the terminal.
      onForcedEnd: () => this.#slots.forEach(({ worker }) => worker.kill()),
      log: logger,
    })
    // The first alone: when the port is taken, Node 26 (lib/internal/cluster/primary.js, queryServer) dies of a
    // TypeError if a second worker has asked for it meanwhile. And its reason has to be told only once.
    const { host, port } = await this.#servingAt(this.#addSlot())
    await Promise.all(Array.from({ length: this.#wanted - 1 }, () => this.#servingAt(this.#addSlot())))
    this.#listening = true
    logger.info({ host, port, workers: this.#slots.length }, 'listening')
    this.#started.resolve()
  }

  get #wanted(): number {
    return this.#options.workersOf(this.#config)
  }

  async #servingAt(slot: WorkerSlot<Config>): Promise<Extract<WorkerStart, { kind: 'ready' }>> {
    const started = await slot.worker.started
    if (started.kind === 'ready') return started
    // It ended because it was told to, and so does this process.
    if (this.#stopping) return new Promise(() => undefined)
    throw new Error(started.reason)
  }

  #addSlot(): WorkerSlot<Config> {
    const instructions = () => ({ config: this.#config, workers: this.#wanted })
    const slot = new WorkerSlot<Config>({
      fork: () => new WorkerProcess({ instructions, handlers: this.#handlers, nextOrdinal: () => ++this.#ordinal }),
      onServing: (worker) => this.#metrics.add(worker),
      onEnded: (worker, { finalSnapshot }) => this.#metrics.remove(worker, finalSnapshot),
      onReplaced: () => this.#restarts.inc(),
      retry: () => this.#listening,
      logger: this.#logger,
    })
    this.#slots.push(slot)
    return slot
  }

  async #reconfigure(config: Config): Promise<void> {
    await this.#started.promise
    if (this.#stopping) return
    this.#config = config
    for (const slot of this.#slots) slot.worker.instruct()
    while (this.#slots.length < this.#wanted) this.#addSlot()
    for (const slot of this.#slots.splice(this.#wanted)) void slot.retire(this.#options.stopWithinMs)
  }

  async #stop(): Promise<void> {
    this.#stopping = true
    this.#logger.info('stopping')
    await within(assignWithinMs, this.#allAssigned())
    await Promise.all(this.#slots.map((slot) => slot.retire(this.#options.stopWithinMs)))
    this.#metrics.close()
    this.#logger.info('stopped')
  }

  /**
   * The kernel and this process may still hold connections that no worker has; the last one to close the port would
   * reset them. Two rounds in which every worker has caught up and none was handed anything say that there are none.
   */
  async #allAssigned(): Promise<void> {
    const serving = this.#slots.map(({ worker }) => worker).filter(({ serves }) => serves)
    const assigned = (): number => serving.reduce((sum, worker) => sum + worker.assigned, 0)
    for (let quietRounds = 0; quietRounds < 2;) {
      const before = assigned()
      await Promise.all(serving.map((worker) => worker.caughtUp()))
      quietRounds = assigned() === before ? quietRounds + 1 : 0
    }
  }
}
