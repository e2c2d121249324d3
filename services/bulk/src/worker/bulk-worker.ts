import type { Redis } from '@ipfleet/redis/connection.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { FleetWatch } from '../lookups/fleet-watch.ts'
import type { LookupGate } from '../lookups/lookup-gate.ts'
import type { ChunkQueue, ChunkTask } from './chunk-queue.ts'
import type { ChunkRunner } from './chunk-runner.ts'
import { ChunkWorkers } from './chunk-workers.ts'
import type { JobSignals } from './job-signals.ts'

export interface BulkWorkerDeps {
  readonly link: RedisLink
  /** See `blockingConnection`. */
  readonly connection: Redis
  /** Of the queue's keys in Redis. */
  readonly prefix: string
  readonly queue: ChunkQueue
  readonly runner: ChunkRunner
  readonly signals: JobSignals
  readonly gate: LookupGate
  /** Batches under way at a time, over all workers. */
  readonly maxConcurrency: number
  readonly lookupUrl: string
  readonly onGivenUp: (task: ChunkTask, error: Error) => void
}

export class BulkWorker {
  readonly #deps: BulkWorkerDeps
  readonly #workers: ChunkWorkers
  readonly #watch: FleetWatch

  constructor(deps: BulkWorkerDeps) {
    const { connection, prefix, runner, gate, lookupUrl, onGivenUp } = deps
    this.#deps = deps
    this.#watch = new FleetWatch(lookupUrl, gate, () => runner.active > 0)
    this.#workers = new ChunkWorkers({
      connection,
      prefix,
      run: async (task, stopping) => {
        const outcome = await runner.run(task, stopping)
        this.#workers.concurrency = gate.concurrency
        return outcome
      },
      onGivenUp: (task, error) => {
        onGivenUp(task, error)
        runner.giveUp(task).catch(() => {
          // Redis is down. The sweeper queues the chunk again.
        })
      },
    })
  }

  start(): void {
    const { link, gate } = this.#deps
    this.#watch.start()
    // Again whenever Redis comes back: it may have lost its data.
    link.on('up', () => this.#limitFleet())
    this.#limitFleet()
    this.#workers.concurrency = gate.concurrency
    this.#workers.start()
  }

  async close(graceMs: number): Promise<void> {
    await this.#workers.close(graceMs)
    this.#watch.close()
    this.#deps.signals.close()
  }

  #limitFleet(): void {
    const { queue, maxConcurrency } = this.#deps
    queue.limitFleet(maxConcurrency).catch(() => {
      // Redis is down.
    })
  }
}
