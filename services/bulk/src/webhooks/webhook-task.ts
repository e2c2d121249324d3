import { setTimeout as delay } from 'node:timers/promises'
import type { Job } from '../worker/bull.ts'
import type { WebhookNote } from './webhook-jobs.ts'
import { type WebhookFault, webhookFaults, type WebhookMessage } from './webhook-sender.ts'

/** `nothing`: the job was gone, or had no callback. */
export type Outcome = 'delivered' | 'nothing'
/** No secret is kept in the queue: URL and payload are read from the job for each attempt. */
export type Task = Job<{ readonly jobId: string }, Outcome>

/** Redis keeps its message. */
export class AttemptFailed extends Error {
  override readonly name = 'AttemptFailed'
  readonly retryInMs: number

  constructor(reason: WebhookFault, retryInMs: number) {
    super(reason)
    this.retryInMs = retryInMs
  }
}

export const taskId = (jobId: string): string => `webhook-${jobId}`

/** The end of an attempt is noted on the job, where a client sees it, a moment before the queue knows of it. */
export async function settledState(task: Task) {
  for (let looks = 0; looks < 20; looks += 1) {
    const state = await task.getState()
    if (state !== 'active') return state
    await delay(50)
  }
  return 'active'
}

/** The same for each attempt while the job does not change: the timestamp is that of the job's end. */
export function messageOf({ data: { jobId }, timestamp }: Task, payload: object): WebhookMessage {
  const body = { type: 'job.completed', timestamp: new Date(timestamp).toISOString(), data: payload }
  return { id: `msg_${jobId}`, body: JSON.stringify(body) }
}

/** Undefined for a task that has not ended. */
export function endNoteOf({
  finishedOn,
  returnvalue,
  failedReason,
  attemptsMade: attempts,
}: Task): WebhookNote | undefined {
  if (finishedOn === undefined || returnvalue === 'nothing') return undefined
  if (returnvalue === 'delivered') return { state: 'delivered', attempts }
  const reason = webhookFaults.find((fault) => fault === failedReason)
  return { state: 'dead', attempts, ...(reason !== undefined && { reason }) }
}

/** BullMQ's own refusals, such as of a task in another state, have a negative number for a code. */
export function isBullCode(error: unknown): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'number' && error.code < 0
}
