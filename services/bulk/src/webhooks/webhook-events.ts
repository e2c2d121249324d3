import type { WebhookFault } from './webhook-fault.ts'

/** For logs and metrics. Nothing here says where a webhook goes: URLs hold secrets. */
export interface WebhookEvents {
  delivered: [{ readonly jobId: string; readonly attempts: number }]
  /** One attempt; without `retryInMs` it was the last. */
  failed: [
    { readonly jobId: string; readonly attempts: number; readonly reason: WebhookFault; readonly retryInMs?: number },
  ]
  dead: [{ readonly jobId: string; readonly attempts: number; readonly reason: WebhookFault }]
  /** The job could not be read: its webhook waits a second. */
  unread: [{ readonly jobId: string; readonly cause: unknown }]
  /** What came of an attempt could not be noted on the job; the next `enqueue` notes an end. */
  unnoted: [{ readonly jobId: string; readonly cause: unknown }]
}
