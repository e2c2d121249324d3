import type { ClientGuard } from '@ipfleet/rate-limit/clients/client-guard.ts'
import type { RateLimiter } from '@ipfleet/rate-limit/rate-limiter.ts'
import type { Redis } from '@ipfleet/redis/connection.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import type { BulkMetrics } from '../metrics.ts'
import type { JobChanges } from '../jobs/job-changes.ts'
import { queuePrefix } from '../jobs/job-keys.ts'
import type { JobStore } from '../jobs/job-store.ts'
import { AdaptiveLimit } from '../lookups/adaptive-limit.ts'
import { BatchClient } from '../lookups/batch-client.ts'
import { LiveTrafficThrottle } from '../lookups/live-traffic-throttle.ts'
import { FleetLookups } from '../lookups/fleet-lookups.ts'
import { FleetWatch } from '../lookups/fleet-watch.ts'
import type { Pauses } from '../lookups/pauses.ts'
import { RateCeiling } from '../lookups/rate-ceiling.ts'
import type { ChunkQueue } from './chunk-queue.ts'
import { ChunkWorkers } from './chunk-workers.ts'
import type { BulkSettings } from '../settings.ts'
import { ChunkRunner, type DoneChunk } from './chunk-runner.ts'
import { JobSignals } from './job-signals.ts'
import { UnitBudgets } from './unit-budgets.ts'

export interface WorkerDeps {
  readonly settings: BulkSettings
  readonly link: RedisLink
  readonly store: JobStore
  readonly queue: ChunkQueue
  readonly changes: JobChanges
  readonly pauses: Pauses
  readonly limiter: RateLimiter
  readonly clients: ClientGuard | undefined
  /** Blocks; see `blockingConnection`. */
  readonly connection: Redis
  readonly record: BulkMetrics
  /** See `ChunkRunnerDeps`. */
  readonly mayGrow: (holder: string) => Promise<boolean>
  /** See `ChunkRunnerDeps`. */
  readonly notifyEnd: (job: string) => Promise<void>
}

/** How soon a job is seen to be cancelled by a process that was not told. */
const lookForCancelledMs = 500

/** This process's share of the looking up. */
export class BulkWorker {
  readonly #deps: WorkerDeps
  readonly #limit: AdaptiveLimit
  readonly #signals = new JobSignals()
  readonly #runner: ChunkRunner
  readonly #workers: ChunkWorkers
  readonly #watch: FleetWatch
  #lookTimer: NodeJS.Timeout | undefined

  constructor(parts: WorkerDeps) {
    this.#deps = parts
    const { settings, link, pauses, record, connection } = parts
    this.#limit = new AdaptiveLimit({ max: settings.BULK_CONCURRENCY })
    this.#runner = this.#chunkRunner()
    this.#watch = new FleetWatch(settings.LOOKUP_URL, pauses, () => this.#runner.active > 0)
    this.#workers = new ChunkWorkers({
      connection,
      prefix: queuePrefix(link.names),
      run: (task, stopping) => this.#runner.run(task, stopping),
      onGivenUp: (task, error) => {
        record.gaveUp(task.job, task.index, error)
        this.#runner.giveUp(task).catch(() => {
          // Redis is away; the sweeper queues it again.
        })
      },
    })
  }

  start(): void {
    const { changes, store, link } = this.#deps
    changes.onCancelled((job) => this.#signals.cancel(job))
    this.#lookTimer = setInterval(() => {
      this.#signals.look(store).catch(() => {
        // Redis is away, and with it all work.
      })
    }, lookForCancelledMs).unref()
    this.#watch.start()
    // Again whenever Redis comes back: it may have come back empty.
    link.on('up', () => this.#limitFleet())
    this.#limitFleet()
    this.#workers.concurrency = this.#limit.limit
    this.#workers.start()
  }

  async close(graceMs: number): Promise<void> {
    await this.#workers.close(graceMs)
    this.#watch.close()
    clearInterval(this.#lookTimer)
  }

  #limitFleet(): void {
    const { queue, settings } = this.#deps
    queue.limitFleet(settings.BULK_CONCURRENCY).catch(() => {
      // Redis is away.
    })
  }

  #chunkRunner(): ChunkRunner {
    const { settings, store, pauses, limiter, clients, record, mayGrow, notifyEnd } = this.#deps
    return new ChunkRunner({
      store,
      pauses,
      notifyEnd,
      mayGrow,
      budgets: new UnitBudgets(clients),
      signals: this.#signals,
      lookups: new FleetLookups({
        client: new BatchClient({
          url: settings.LOOKUP_URL,
          token: settings.LOOKUP_TOKEN,
          timeoutMs: settings.LOOKUP_TIMEOUT_MS,
          liveReservePercent: settings.LIVE_RESERVE_PERCENT,
        }),
        pauses,
        ceiling: new RateCeiling(limiter, settings.BULK_MAX_RPS),
        limit: this.#limit,
        throttle: new LiveTrafficThrottle(settings.BULK_LIVE_SHARE_PERCENT),
        onRetry: record.retried,
      }),
      onDone: (chunk) => this.#chunkDone(chunk),
    })
  }

  #chunkDone(chunk: DoneChunk): void {
    this.#deps.record.chunkDone(chunk)
    const { limit } = this.#limit
    if (limit !== this.#workers.concurrency) this.#workers.concurrency = limit
  }
}
