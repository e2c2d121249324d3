import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import type { TargetPolicy } from '@ipfleet/net/target-policy.ts'
import type { JobStore } from '../jobs/job-store.ts'
import { isCallbackDue } from '../jobs/job.ts'
import { checkCallback, readCallback } from './webhook-target.ts'
import type { Webhooks } from './webhooks.ts'

export interface CallbacksDeps {
  readonly store: JobStore
  readonly policy: TargetPolicy
  /** Undefined without WEBHOOK_SECRET: receivers could not verify calls that are not signed. */
  readonly webhooks: Webhooks | undefined
}

/** The callbacks of jobs, from the request of a client to the queue of webhooks. */
export class Callbacks {
  readonly #deps: CallbacksDeps

  constructor(deps: CallbacksDeps) {
    this.#deps = deps
  }

  /** @returns the callback as it is stored. @throws ProxyError `bad_request`, `target_refused` */
  async check(given: string): Promise<string> {
    const url = readCallback(given)
    this.#webhooks()
    await checkCallback(this.#deps.policy, url)
    return url.href
  }

  /** Sends the webhook of a completed job again. @throws ProxyError `bad_request` */
  async resend(id: string): Promise<void> {
    await this.#webhooks().resend(id)
  }

  /** Queues the webhook of a job that has ended. However often it is called, the webhook is queued once. */
  readonly notifyEnd = async (id: string): Promise<void> => {
    const job = await this.#deps.store.read(id)
    if (job !== undefined && isCallbackDue(job)) await this.#deps.webhooks?.enqueue(id)
  }

  #webhooks(): Webhooks {
    if (this.#deps.webhooks) return this.#deps.webhooks
    throw new ProxyError('bad_request', { message: 'Callbacks are not set up here: WEBHOOK_SECRET is not set' })
  }
}
