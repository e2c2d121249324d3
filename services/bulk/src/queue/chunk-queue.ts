import { Queue } from 'bullmq'
import type { Redis } from '@ipfleet/redis/connection.ts'

/** A piece of a job that one worker does at a time. */
export interface ChunkTask {
  readonly job: string
  readonly index: number
}

export interface QueueDepth {
  /** Chunks that nobody works on. */
  readonly waiting: number
  readonly active: number
  /** How long the next one has been waiting. */
  readonly oldestSeconds: number
}

export const chunksQueue = 'chunks'

/** BullMQ's least urgent priority. */
const lastPriority = 2_097_152
const addedAtOnce = 1000
/** Of what has happened in the queue, for whoever looks into it; nothing here depends on it. */
const keptEvents = 1000

export interface ChunkQueueOptions {
  /** Of the queue's keys in Redis. */
  readonly prefix: string
  /** How often a task may throw what nobody has thought of; waiting for upstream does not count. Default 20. */
  readonly attempts?: number
  /** After the first of them; doubles. Default a second. */
  readonly pauseMs?: number
}

const taskId = ({ job, index }: ChunkTask): string => `${job}-${index}`

/**
 * The chunks of all jobs. Those with a lower number go first, whichever job they are of: a short job that comes after
 * a long one does not wait for its end.
 */
export class ChunkQueue {
  readonly #queue: Queue<ChunkTask>

  constructor(connection: Redis, { prefix, attempts = 20, pauseMs = 1000 }: ChunkQueueOptions) {
    this.#queue = new Queue(chunksQueue, {
      connection,
      prefix,
      streams: { events: { maxLen: keptEvents } },
      defaultJobOptions: {
        removeOnComplete: true,
        removeOnFail: true,
        attempts,
        backoff: { type: 'exponential', delay: pauseMs, jitter: 0.5 },
      },
    })
    this.#queue.on('error', () => {})
  }

  /** Adds chunks of a job; those that are there already stay as they are. */
  async add(job: string, indices: readonly number[]): Promise<void> {
    for (let at = 0; at < indices.length; at += addedAtOnce) {
      const tasks = indices.slice(at, at + addedAtOnce).map((index) => ({ job, index }))
      await this.#queue.addBulk(
        tasks.map((data) => ({
          name: 'chunk',
          data,
          opts: { jobId: taskId(data), priority: Math.min(data.index + 1, lastPriority) },
        })),
      )
    }
  }

  async has(task: ChunkTask): Promise<boolean> {
    return (await this.#queue.getJob(taskId(task))) !== undefined
  }

  /** Most chunks that all workers together have under way. */
  async limitFleet(concurrency: number): Promise<void> {
    await this.#queue.setGlobalConcurrency(concurrency)
  }

  async depth(): Promise<QueueDepth> {
    const counts = await this.#queue.getJobCounts('prioritized', 'waiting', 'delayed', 'active')
    const [next] = await this.#queue.getPrioritized(0, 0)
    return {
      waiting: (counts['prioritized'] ?? 0) + (counts['waiting'] ?? 0) + (counts['delayed'] ?? 0),
      active: counts['active'] ?? 0,
      oldestSeconds: next === undefined ? 0 : Math.max(0, Date.now() - next.timestamp) / 1000,
    }
  }

  async close(): Promise<void> {
    await this.#queue.close()
  }
}
