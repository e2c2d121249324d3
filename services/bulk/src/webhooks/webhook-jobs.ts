import type { JobStore } from '../jobs/job-store.ts'
import { jobView } from '../jobs/job-view.ts'
import type { WebhookFault } from './webhook-sender.ts'

export interface WebhookNote {
  /** `waiting`: for the first attempt or another one. `dead`: there will be none. */
  readonly state: 'waiting' | 'delivered' | 'dead'
  /** Made so far. */
  readonly attempts: number
  /** Of the last attempt, if it failed. */
  readonly reason?: WebhookFault
}

/** What is sent when a job has ended, and where to. */
export interface WebhookTarget {
  readonly url: string
  readonly payload: object
  /** The client whose job it is (`Job.holder`). */
  readonly holder: string
}

/** Jobs as their webhooks see them. Both methods may reject while Redis is down. */
export interface WebhookJobs {
  /** Undefined when there is nothing to send (any more). */
  read(id: string): Promise<WebhookTarget | undefined>
  note(id: string, note: WebhookNote): Promise<void>
}

export function webhookJobs(store: JobStore): WebhookJobs {
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
