import { OwnAddresses } from '@ipfleet/net/own-addresses.ts'
import type { TargetPolicy } from '@ipfleet/net/target-policy.ts'
import type { Metrics } from '@ipfleet/telemetry/metrics.ts'
import type { Logger } from '@ipfleet/telemetry/logger.ts'
import type { FleetParts } from './fleet-parts.ts'
import { queuePrefix } from './jobs/job-keys.ts'
import type { SlotLimiter } from './limits/slot-limiter.ts'
import type { JobStore } from './jobs/job-store.ts'
import { jobView } from './jobs/job-view.ts'
import type { BulkSettings } from './settings.ts'
import { WebhookSender } from './webhooks/webhook-sender.ts'
import { WebhookSigner } from './webhooks/webhook-signer.ts'
import { webhookPolicy } from './webhooks/webhook-target.ts'
import { type WebhookJobs, Webhooks } from './webhooks/webhooks.ts'

export interface WebhookParts {
  readonly webhooks: Webhooks
  readonly policy: TargetPolicy
  readonly own: OwnAddresses
}

/** Undefined without WEBHOOK_SECRET: what is not signed nobody should believe. */
export function webhookParts(
  settings: BulkSettings,
  { clock, link, queueConnection: queue, workerConnection: worker }: FleetParts,
  store: JobStore,
  slots: SlotLimiter,
): WebhookParts | undefined {
  if (settings.WEBHOOK_SECRET.length === 0) return undefined
  const own = new OwnAddresses({ clock, blocks: [] })
  const policy = webhookPolicy({ allow: settings.ALLOW_TARGETS, deny: settings.DENY_TARGETS, own, clock })
  const webhooks = new Webhooks({
    connections: { queue, worker },
    prefix: queuePrefix(link.names),
    jobs: webhookJobs(store),
    slots,
    sender: new WebhookSender({ policy, signer: new WebhookSigner(settings.WEBHOOK_SECRET) }),
    keepSeconds: settings.RESULT_TTL_SECONDS,
  })
  return { webhooks, policy, own }
}

function webhookJobs(store: JobStore): WebhookJobs {
  return {
    read: async (id) => {
      const job = await store.read(id)
      // A cancelled job has not been completed, and its client knows.
      if (job?.callback === undefined || job.state !== 'completed') return undefined
      return { url: job.callback.url, payload: jobView(job), holder: job.holder }
    },
    note: (id, { state, attempts, reason }) => store.noteCallback(id, state, attempts, reason),
  }
}

/** By outcome of single attempts; `dead` counts webhooks that nobody sends again. */
export function recordWebhooks(webhooks: Webhooks, metrics: Metrics, logger: Logger): void {
  const outcomes = metrics.hotCounter({
    name: 'ipfleet_bulk_webhooks_total',
    help: 'Attempts to tell the end of a job, by outcome; dead: jobs of which nobody is told any more.',
    labels: { outcome: ['delivered', 'failed', 'dead'] },
  })
  webhooks.on('delivered', ({ jobId: job, attempts }) => {
    outcomes.series({ outcome: 'delivered' }).inc()
    logger.info({ job, attempts }, 'webhook delivered')
  })
  webhooks.on('failed', ({ jobId: job, attempts, reason, retryInMs }) => {
    outcomes.series({ outcome: 'failed' }).inc()
    logger.warn({ job, attempts, reason, retryInMs }, 'webhook not delivered')
  })
  webhooks.on('dead', ({ jobId: job, attempts, reason }) => {
    outcomes.series({ outcome: 'dead' }).inc()
    logger.error({ job, attempts, reason }, 'webhook given up; POST /jobs/:id/webhook sends it again')
  })
  webhooks.on('unread', ({ jobId: job, cause }) => {
    logger.warn({ job, err: cause }, 'the job of a webhook could not be read; tried again')
  })
  webhooks.on('unnoted', ({ jobId: job, cause }) => {
    logger.warn({ job, err: cause }, 'what came of a webhook could not be noted on its job')
  })
}
