import type { Metrics } from '@ipfleet/telemetry/metrics.ts'
import type { Logger } from '@ipfleet/telemetry/logger.ts'
import type { BatchFailure } from './lookups/batch-client.ts'
import { type BoundedThing, boundedThings, type ServiceSlots, type SlotRefusal } from './limits/slot-limiter.ts'
import type { StorageQuota } from './limits/storage-quota.ts'
import { type PauseReason, pauseReasons, type Pauses } from './lookups/pauses.ts'
import type { ChunkQueue } from './worker/chunk-queue.ts'
import type { DoneChunk } from './worker/chunk-runner.ts'

export type RetryReason = BatchFailure | 'items'

/** Shorter pauses are no news. */
const loggedPauseMs = 1000

const retryReasons = ['busy', 'unreachable', 'timeout', 'failed', 'invalid', 'refused', 'items'] as const

/** What this process has done, in metrics and log. Labels come from closed sets. */
export class BulkMetrics {
  readonly #logger: Logger
  readonly #chunks: ReturnType<typeof chunkMetrics>

  constructor(metrics: Metrics, logger: Logger) {
    this.#logger = logger
    this.#chunks = chunkMetrics(metrics)
  }

  readonly chunkDone = ({ job, completesJob, lines, answered, durationMs }: DoneChunk): void => {
    this.#chunks.lines.series({ result: 'answered' }).inc(answered)
    this.#chunks.lines.series({ result: 'error' }).inc(lines - answered)
    this.#chunks.duration.series({}).observeMs(durationMs)
    if (completesJob) this.#logger.info({ job }, 'job completed')
  }

  readonly refused = (what: BoundedThing, why: SlotRefusal): void => {
    this.#chunks.refused.series({ what, limit: why === 'client_full' ? 'client' : 'all' }).inc()
  }

  readonly retried = (reason: RetryReason, detail?: string): void => {
    this.#chunks.retries.series({ reason }).inc()
    if (reason === 'refused') {
      this.#logger.warn({ detail }, 'the fleet refuses batches; is LOOKUP_TOKEN one of its CLIENT_TOKENS?')
    } else this.#logger.debug({ reason, detail }, 'a batch is asked again')
  }

  readonly paused = (reason: PauseReason, durationMs: number): void => {
    // A refusal by itself is everyday, and counted.
    const level = durationMs < loggedPauseMs ? 'debug' : 'warn'
    this.#logger[level]({ reason, seconds: Math.ceil(durationMs / 1000) }, 'paused')
  }

  readonly repaired = (job: string, chunks: number): void => {
    this.#logger.warn({ job, chunks }, 'chunks were missing in the queue')
  }

  readonly gaveUp = (job: string, index: number, error: Error): void => {
    this.#logger.error({ job, chunk: index, err: error }, 'a chunk could not be done; its lines get errors')
  }
}

function chunkMetrics(metrics: Metrics) {
  return {
    lines: metrics.hotCounter({
      name: 'ipfleet_bulk_lines_total',
      help: 'Result lines made here.',
      labels: { result: ['answered', 'error'] },
    }),
    duration: metrics.hotHistogram({
      name: 'ipfleet_bulk_chunk_duration_seconds',
      help: 'Time from taking up a chunk to its results being kept.',
      labels: {},
      bucketsMs: [50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000],
    }),
    refused: metrics.hotCounter({
      name: 'ipfleet_bulk_refused_total',
      help: 'What was refused, or put off for webhooks, by what there is too much of, and whether for one client or for all.',
      labels: { what: boundedThings, limit: ['client', 'all'] },
    }),
    retries: metrics.hotCounter({
      name: 'ipfleet_bulk_retries_total',
      help: 'Batches that were asked again, by why.',
      labels: { reason: retryReasons },
    }),
  }
}

/** What clients hold of this process now. */
export function registerSlots(metrics: Metrics, slots: ServiceSlots): void {
  metrics.gauge({
    name: 'ipfleet_bulk_places',
    help: 'What clients hold at a time; uploads in bytes.',
    labelNames: ['what'],
    collect() {
      for (const what of boundedThings) this.set({ what }, slots[what].total)
    },
  })
}

export interface GaugeDeps {
  readonly pauses: Pauses
  readonly quota: StorageQuota
  readonly queue: ChunkQueue
}

/** The state of the fleet and of this process. While Redis is down, gauges of the fleet have no value. */
export function registerGauges(metrics: Metrics, { pauses, quota, queue }: GaugeDeps): void {
  const fleetGauge = (name: string, help: string, read: () => Promise<number>): void => {
    metrics.gauge({
      name,
      help,
      async collect() {
        const value = await read().catch(() => undefined)
        this.reset()
        if (value !== undefined) this.set(value)
      },
    })
  }
  fleetGauge(
    'ipfleet_bulk_queue_depth',
    'Chunks that no worker has taken up.',
    async () => (await queue.depth()).waiting,
  )
  fleetGauge(
    'ipfleet_bulk_queue_age_seconds',
    'How long the next chunk has been waiting.',
    async () => (await queue.depth()).oldestSeconds,
  )
  fleetGauge('ipfleet_bulk_stored_bytes', 'Inputs and results in Redis, compressed.', async () => {
    const { all } = await quota.usage()
    return all.bytes
  })
  metrics.gauge({
    name: 'ipfleet_bulk_jobs',
    help: 'Jobs by state.',
    labelNames: ['state'],
    async collect() {
      const usage = await quota.usage().catch(() => undefined)
      this.reset()
      for (const [state, count] of Object.entries(usage?.states ?? {})) this.set({ state }, count)
    },
  })
  metrics.gauge({
    name: 'ipfleet_bulk_paused',
    help: 'Whether nothing is looked up here for now, by why.',
    labelNames: ['reason'],
    collect() {
      for (const reason of pauseReasons) this.set({ reason }, pauses.isPaused(reason) ? 1 : 0)
    },
  })
}
