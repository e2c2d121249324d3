import type { Logger } from '@ipfleet/telemetry/logger.ts'
import type { Metrics } from '@ipfleet/telemetry/metrics.ts'
import { type Reading, scrapedGauge } from '@ipfleet/telemetry/scraped-metrics.ts'
import { type BoundedThing, boundedThings, type ServiceSlots, type SlotRefusal } from './limits/slot-limiter.ts'
import type { StorageQuota } from './limits/storage-quota.ts'
import type { BatchFailure } from '@ipfleet/fleet-client/batch-client.ts'
import { type LookupGate, type PauseReason, pauseReasons } from './lookups/lookup-gate.ts'
import type { Webhooks } from './webhooks/webhooks.ts'
import type { ChunkQueue, ChunkTask } from './worker/chunk-queue.ts'
import type { DoneChunk } from './worker/chunk-runner.ts'

/** Shorter pauses are not logged as warnings: the fleet refuses a batch now and then. */
const loggedPauseMs = 1000

const retryReasons = ['busy', 'unreachable', 'timeout', 'failed', 'invalid', 'refused', 'items'] as const

/** What this process has done, in metrics and log. Labels come from closed sets. */
export class BulkMetrics {
  readonly #logger: Logger
  readonly #counters: ReturnType<typeof registerCounters>

  constructor(metrics: Metrics, logger: Logger) {
    this.#logger = logger
    this.#counters = registerCounters(metrics)
  }

  readonly chunkDone = ({ job, completesJob, lines, answered, durationMs }: DoneChunk): void => {
    this.#counters.lines.series({ result: 'answered' }).inc(answered)
    this.#counters.lines.series({ result: 'error' }).inc(lines - answered)
    this.#counters.duration.series({}).observeMs(durationMs)
    if (completesJob) this.#logger.info({ job }, 'job completed')
  }

  readonly refused = (what: BoundedThing, why: SlotRefusal): void => {
    this.#counters.refused.series({ what, limit: why === 'client_full' ? 'client' : 'all' }).inc()
  }

  readonly retried = (reason: BatchFailure | 'items', detail?: string): void => {
    this.#counters.retries.series({ reason }).inc()
    if (reason === 'refused') {
      this.#logger.warn({ detail }, 'the fleet refuses batches; is LOOKUP_TOKEN one of its CLIENT_TOKENS?')
    } else this.#logger.debug({ reason, detail }, 'a batch is asked again')
  }

  readonly paused = (reason: PauseReason, durationMs: number): void => {
    const level = durationMs < loggedPauseMs ? 'debug' : 'warn'
    this.#logger[level]({ reason, seconds: Math.ceil(durationMs / 1000) }, 'paused')
  }

  readonly repaired = (job: string, chunks: number): void => {
    this.#logger.warn({ job, chunks }, 'chunks were missing in the queue')
  }

  readonly gaveUp = ({ job, index }: ChunkTask, error: Error): void => {
    this.#logger.error({ job, chunk: index, err: error }, 'a chunk could not be done; its lines get errors')
  }

  /** Counts single attempts by outcome; `dead`: webhooks that are not sent again. */
  follow(webhooks: Webhooks): void {
    const logger = this.#logger
    const count = (outcome: 'delivered' | 'failed' | 'dead'): void => {
      this.#counters.webhooks.series({ outcome }).inc()
    }
    webhooks.on('delivered', ({ jobId: job, attempts }) => {
      count('delivered')
      logger.info({ job, attempts }, 'webhook delivered')
    })
    webhooks.on('failed', ({ jobId: job, attempts, reason, retryInMs }) => {
      count('failed')
      logger.warn({ job, attempts, reason, retryInMs }, 'webhook not delivered')
    })
    webhooks.on('dead', ({ jobId: job, attempts, reason }) => {
      count('dead')
      logger.error({ job, attempts, reason }, 'webhook given up; POST /jobs/:id/webhook sends it again')
    })
    webhooks.on('unread', ({ jobId: job, cause }) => {
      logger.warn({ job, err: cause }, 'the job of a webhook could not be read; tried again')
    })
    webhooks.on('unnoted', ({ jobId: job, cause }) => {
      logger.warn({ job, err: cause }, 'what came of a webhook could not be noted on its job')
    })
  }
}

function registerCounters(metrics: Metrics) {
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
    webhooks: metrics.hotCounter({
      name: 'ipfleet_bulk_webhooks_total',
      help: 'Attempts to tell the end of a job, by outcome; dead: webhooks that are not sent again.',
      labels: { outcome: ['delivered', 'failed', 'dead'] },
    }),
  }
}

export interface GaugeDeps {
  readonly gate: LookupGate
  readonly quota: StorageQuota
  readonly queue: ChunkQueue
  readonly slots: ServiceSlots
}

export function registerGauges(metrics: Metrics, { gate, quota, queue, slots }: GaugeDeps): void {
  registerFleetGauges(metrics, quota, queue)
  const held = () => boundedThings.map((what) => [what, slots[what].total] as const)
  scrapedGauge(metrics, 'ipfleet_bulk_places', 'What clients hold at a time; uploads in bytes.', held, 'what')
  const paused = () => pauseReasons.map((reason) => [reason, gate.isPaused(reason) ? 1 : 0] as const)
  const pausedHelp = 'Whether nothing is looked up here for now, by why.'
  scrapedGauge(metrics, 'ipfleet_bulk_paused', pausedHelp, paused, 'reason')
}

/** While Redis is down, these have no value. */
function registerFleetGauges(metrics: Metrics, quota: StorageQuota, queue: ChunkQueue): void {
  const gauge = (name: string, help: string, read: () => Promise<Reading>, ...labels: string[]): void =>
    scrapedGauge(metrics, name, help, () => read().catch(() => undefined), ...labels)
  const waiting = async () => (await queue.depth()).waiting
  const oldestSeconds = async () => (await queue.depth()).oldestSeconds
  const storedBytes = async () => (await quota.usage()).sum.all.bytes
  const jobs = async () => Object.entries((await quota.usage()).states)
  gauge('ipfleet_bulk_queue_depth', 'Chunks that no worker has taken up.', waiting)
  gauge('ipfleet_bulk_queue_age_seconds', 'How long the next chunk has been waiting.', oldestSeconds)
  gauge('ipfleet_bulk_stored_bytes', 'Inputs and results in Redis, compressed.', storedBytes)
  gauge('ipfleet_bulk_jobs', 'Jobs by state.', jobs, 'state')
}
