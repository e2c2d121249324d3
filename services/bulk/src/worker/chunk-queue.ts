import type { Redis } from '@ipfleet/redis/connection.ts'
import { bullQueue, type Queue } from './bull.ts'

export interface ChunkTask {
  readonly job: string
  readonly index: number
}

export interface QueueDepth {
  /** Chunks that no worker has taken up. */
  readonly waiting: number
  readonly active: number
  /** How long the next one has been waiting. */
  readonly oldestSeconds: number
}

export const chunksQueue = 'chunks'

/** BullMQ's least urgent priority. */
const lastPriority = 2_097_152
const addedAtOnce = 1000
/** Most turns between two chunks of one job. */
const maxStride = 1000

export interface ChunkQueueOptions {
  /** Of the queue's keys in Redis. */
  readonly prefix: string
  /** How often a task may throw an unexpected error; waiting for upstream does not count. Default 20. */
  readonly attempts?: number
  /** After the first error; doubles. Default a second. */
  readonly pauseMs?: number
}

const taskId = ({ job, index }: ChunkTask): string => `${job}-${index}`

/**
 * The chunks of all jobs, in fair turns. The priority of a chunk is its turn; chunks of one turn are done in the order in
 * which they were added (start-time fair queueing, Goyal et al. 1996; the virtual time is the turn of the next chunk). A
 * client's first unfinished job has one chunk in each turn from now on; its nth begins n turns from now and has one in
 * n² turns. So a client has about two chunks in a turn, however many jobs it sends, and a short job does not wait for
 * the end of a long one that came before it.
 */
export class ChunkQueue {
  readonly #queue: Queue<ChunkTask, void>

  constructor(connection: Redis, { prefix, attempts = 20, pauseMs = 1000 }: ChunkQueueOptions) {
    this.#queue = bullQueue(chunksQueue, {
      connection,
      prefix,
      defaultJobOptions: {
        removeOnComplete: true,
        removeOnFail: true,
        attempts,
        backoff: { type: 'exponential', delay: pauseMs, jitter: 0.5 },
      },
    })
  }

  /** Adds chunks of a job, except those that are there already. @param nth of its client's unfinished jobs, from 1 */
  async add(job: string, indices: readonly number[], nth = 1): Promise<void> {
    const first = (await this.#turn()) + nth
    const stride = Math.min(nth ** 2, maxStride)
    for (let at = 0; at < indices.length; at += addedAtOnce) {
      const tasks = indices.slice(at, at + addedAtOnce).map((index) => ({ job, index }))
      await this.#queue.addBulk(
        tasks.map((data, offset) => ({
          name: 'chunk',
          data,
          opts: { jobId: taskId(data), priority: Math.min(first + (at + offset) * stride, lastPriority) },
        })),
      )
    }
  }

  /** Turns before that of the next chunk. From 0 again when nothing waits but what is beyond the last priority. */
  async #turn(): Promise<number> {
    const [next] = await this.#queue.getPrioritized(0, 0)
    const turn = (next?.opts.priority ?? 1) - 1
    return turn < lastPriority - 1 ? turn : 0
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
