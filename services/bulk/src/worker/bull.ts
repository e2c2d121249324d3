import {
  DelayedError,
  type Job,
  type Processor,
  Queue,
  type QueueOptions,
  RedisConnection,
  Worker,
  type WorkerOptions,
} from 'bullmq'
import { within } from '@ipfleet/core/within.ts'
import type { Redis } from '@ipfleet/redis/connection.ts'

export { type Job, type Queue, UnrecoverableError, type Worker } from 'bullmq'

/**
 * The version that BullMQ (6.7.0) assumes for a server when it may not ask INFO, which not every user may (see
 * `blockingConnection`): the oldest that this fleet works with, rather than one that cannot block for part of a second.
 */
RedisConnection.minimumVersion = '6.2.0'

/** Of what happened in a queue, for operators; nothing here depends on it. */
const keptEvents = 1000
const restMs = 1000
const errorsBeforeRest = 3

export function bullQueue<Data, Result>(name: string, options: QueueOptions): Queue<Data, Result> {
  const queue = new Queue<Data, Result>(name, { streams: { events: { maxLen: keptEvents } }, ...options })
  // Redis is down: BullMQ reconnects by itself.
  queue.on('error', () => {})
  return queue
}

/** A worker that rests a second after some errors in a row. */
export function bullWorker<Data, Result>(
  name: string,
  process: Processor<Data, Result>,
  options: WorkerOptions,
): Worker<Data, Result> {
  const worker = new Worker<Data, Result>(name, process, options)
  // BullMQ 6.7.0 retries at once when a server refuses its commands (NOPERM, READONLY, LOADING), and blocks the process
  // when it is refused before its first command.
  let errors = 0
  let timer: NodeJS.Timeout | undefined
  worker.on('error', () => {
    errors += 1
    if (errors < errorsBeforeRest || timer !== undefined) return
    void worker.pause(true)
    timer = setTimeout(() => {
      errors = 0
      timer = undefined
      if (!worker.closing) void worker.resume()
    }, restMs)
  })
  worker.on('active', () => (errors = 0))
  worker.on('drained', () => (errors = 0))
  worker.on('closing', () => clearTimeout(timer))
  return worker
}

/**
 * Takes up nothing more, and waits for what is under way, for a limited time: BullMQ 6.7.0 waits without end for a server
 * that is down (its #4585), unless its close is forced.
 */
export async function closeWorker(worker: Pick<Worker, 'close'>, connection: Redis, withinMs: number): Promise<void> {
  await within(withinMs, worker.close(connection.status !== 'ready'))
}

/** Puts a task back into its queue for some time. @throws DelayedError, by which BullMQ knows */
export async function putOff(task: Job, ms: number, token: string | undefined): Promise<never> {
  await task.moveToDelayed(Date.now() + ms, token)
  throw new DelayedError()
}
