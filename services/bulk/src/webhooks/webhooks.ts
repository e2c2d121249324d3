import { EventEmitter } from 'node:events'
import type { Redis } from '@ipfleet/redis/connection.ts'
import type { Backoff } from '@ipfleet/core/backoff.ts'
import type { SlotLimiter } from '../limits/slot-limiter.ts'
import {
  bullQueue,
  bullWorker,
  closeWorker,
  putOff,
  type Queue,
  UnrecoverableError,
  type Worker,
} from '../worker/bull.ts'
import { retryPauseMs, defaultPauses } from './retry-pause.ts'
import type { WebhookJobs, WebhookNote, WebhookTarget } from './webhook-jobs.ts'
import type { WebhookFault, WebhookSender } from './webhook-sender.ts'
import {
  AttemptFailed,
  endNoteOf,
  isBullCode,
  messageOf,
  type Outcome,
  settledState,
  type Task,
  taskId,
} from './webhook-task.ts'

export interface WebhooksDeps {
  /** The caller closes both, after this. `worker` has no deadlines: commands on copies of it block. */
  readonly connections: { readonly queue: Redis; readonly worker: Redis }
  /** Of the queue's keys in Redis. */
  readonly prefix: string
  readonly jobs: WebhookJobs
  readonly sender: WebhookSender
  /** Attempts at a time in this process. */
  readonly slots: SlotLimiter
  /** As long as jobs can be read. */
  readonly keepSeconds: number
  readonly pauses?: Backoff
  /** Then a webhook is dead. With the default pauses 15 attempts take most of an hour. */
  readonly maxAttempts?: number
}

interface Attempts {
  readonly jobId: string
  readonly attempts: number
}

interface Unstored {
  readonly jobId: string
  readonly cause: unknown
}

/** For logs and metrics. They hold no URL of a webhook: URLs may hold secrets. */
export interface WebhookEvents {
  delivered: [Attempts]
  /** One attempt; without `retryInMs` it was the last. */
  failed: [Attempts & { readonly reason: WebhookFault; readonly retryInMs?: number }]
  dead: [Attempts & { readonly reason: WebhookFault }]
  /** The job could not be read: its webhook waits a second. */
  unread: [Unstored]
  /** The outcome of an attempt could not be noted on the job; the next `enqueue` notes an end. */
  unnoted: [Unstored]
}

const queueName = 'webhooks'
/** Tasks that are read at a time; those of clients over their share of slots are put off. */
const concurrency = 100
/** An attempt takes at most so long, after which its slot is free. */
const attemptMs = 10_000
const maxPutOffMs = 600_000
/** A worker that has not renewed its lock for so long has died, and another one takes over. */
const lockMs = 30_000
const lookForStalledMs = 10_000
/** A worker's death says nothing about a webhook, however often it happens. */
const maxStalls = 1_000_000
const maxKept = 20_000
const readAgainMs = 1000

/**
 * Notifies receivers of completed jobs, at least once each: the queue in Redis outlives processes, and an attempt of a
 * worker that died is made again.
 */
export class Webhooks extends EventEmitter<WebhookEvents> {
  readonly #deps: WebhooksDeps
  readonly #queue: Queue<Task['data'], Outcome>
  #worker: Worker<Task['data'], Outcome> | undefined
  /** By client, when its last task that was put off comes back, by `performance.now()`. */
  readonly #turnsMs = new Map<string, number>()
  #isClosing = false

  constructor(deps: WebhooksDeps) {
    super()
    this.#deps = deps
    this.#queue = bullQueue(queueName, { connection: deps.connections.queue, prefix: deps.prefix })
  }

  /**
   * Adds a job's webhook, unless it was added before. The outcome of one that has ended is noted on the job again, in case
   * that failed before. Rejects while Redis is down.
   */
  async enqueue(jobId: string): Promise<void> {
    const kept = { age: this.#deps.keepSeconds, count: maxKept }
    const options = {
      jobId: taskId(jobId),
      attempts: this.#deps.maxAttempts ?? 15,
      backoff: { type: 'custom' },
      removeOnComplete: kept,
      removeOnFail: kept,
      stackTraceLimit: 0,
    }
    await this.#queue.add('webhook', { jobId }, options)
    const task = await this.#queue.getJob(options.jobId)
    const note = task === undefined ? undefined : endNoteOf(task)
    if (note !== undefined) await this.#deps.jobs.note(jobId, note)
  }

  /** Sends a webhook again that was delivered or is dead. One that waits for its next attempt is sent now. */
  async resend(jobId: string): Promise<void> {
    const { jobs } = this.#deps
    const task = await this.#queue.getJob(taskId(jobId))
    const state = task && (await settledState(task))
    try {
      if (state === 'delayed') await task?.promote()
      if (state !== undefined && state !== 'completed' && state !== 'failed') return
      // Before a worker notes the outcome.
      await jobs.note(jobId, { state: 'waiting', attempts: 0 })
      await (task === undefined || state === undefined
        ? this.enqueue(jobId)
        : task.retry(state, { resetAttemptsMade: true }))
    } catch (error) {
      // Another process has moved the task meanwhile: it is sent all the same.
      if (!isBullCode(error)) throw error
    }
  }

  start(): void {
    if (this.#worker !== undefined || this.#isClosing) return
    this.#worker = bullWorker<Task['data'], Outcome>(queueName, (task, token) => this.#work(task, token), {
      connection: this.#deps.connections.worker,
      prefix: this.#deps.prefix,
      concurrency,
      lockDuration: lockMs,
      stalledInterval: lookForStalledMs,
      maxStalledCount: maxStalls,
      settings: { backoffStrategy: (failures, _type, error) => this.#pauseMs(failures, error) },
    })
  }

  /**
   * Takes up nothing more, and waits for attempts under way, which end within the sender's deadline. After `withinMs`
   * another process makes them again.
   */
  async close(withinMs = 12_000): Promise<void> {
    this.#isClosing = true
    if (this.#worker) await closeWorker(this.#worker, this.#deps.connections.worker, withinMs)
    await this.#queue.close()
  }

  async #work(task: Task, token?: string): Promise<Outcome> {
    const { jobId } = task.data
    const found = await this.#read(jobId)
    // It is not the receiver's fault, and so does not count as an attempt.
    if (found === 'unreadable') return putOff(task, readAgainMs, token)
    if (found === undefined) return 'nothing'
    const slot = this.#deps.slots.tryTake(found.holder)
    if (typeof slot === 'string') return putOff(task, this.#putOffMs(found.holder), token)
    try {
      return await this.#attempt(task, found)
    } finally {
      slot.release()
    }
  }

  /**
   * Until a client that uses all its slots has a free one at the latest. Tasks that are put off come back one by one, in
   * their order, instead of all at once again and again.
   */
  #putOffMs(holder: string): number {
    const nowMs = performance.now()
    const turnMs = Math.max(nowMs, this.#turnsMs.get(holder) ?? 0) + attemptMs / this.#deps.slots.share
    for (const [other, ms] of this.#turnsMs) if (ms < nowMs) this.#turnsMs.delete(other)
    this.#turnsMs.set(holder, Math.min(turnMs, nowMs + maxPutOffMs))
    return Math.ceil(turnMs - nowMs)
  }

  async #attempt(task: Task, found: WebhookTarget): Promise<Outcome> {
    const { jobId } = task.data
    const end = await this.#deps.sender.send(new URL(found.url), messageOf(task, found.payload))
    const attempts = task.attemptsMade + 1
    if (end.kind === 'failed') return this.#fail(task, attempts, end.fault, end.askedMs)
    await this.#note(jobId, { state: 'delivered', attempts })
    this.emit('delivered', { jobId, attempts })
    return 'delivered'
  }

  /** Throws what makes BullMQ retry, or not. */
  async #fail(task: Task, attempts: number, reason: WebhookFault, askedMs?: number): Promise<never> {
    const { jobId } = task.data
    const isDead = reason === 'gone' || attempts >= (task.opts.attempts ?? 1)
    const retryInMs = this.#pauseMs(attempts, undefined, askedMs)
    await this.#note(jobId, { state: isDead ? 'dead' : 'waiting', attempts, reason })
    this.emit('failed', { jobId, attempts, reason, ...(!isDead && { retryInMs }) })
    if (!isDead) throw new AttemptFailed(reason, retryInMs)
    this.emit('dead', { jobId, attempts, reason })
    throw new UnrecoverableError(reason)
  }

  #pauseMs(failures: number, error?: unknown, askedMs?: number): number {
    if (error instanceof AttemptFailed) return error.retryInMs
    return retryPauseMs(this.#deps.pauses ?? defaultPauses, failures, askedMs)
  }

  async #read(jobId: string): Promise<WebhookTarget | undefined | 'unreadable'> {
    try {
      return await this.#deps.jobs.read(jobId)
    } catch (cause) {
      this.emit('unread', { jobId, cause })
      return 'unreadable'
    }
  }

  /** Never rejects: a webhook that was delivered must not be sent again because that could not be stored. */
  async #note(jobId: string, note: WebhookNote): Promise<void> {
    try {
      await this.#deps.jobs.note(jobId, note)
    } catch (cause) {
      this.emit('unnoted', { jobId, cause })
    }
  }
}
