import { DelayedError, type Job, Worker } from 'bullmq'
import type { Redis } from '@ipfleet/redis/connection.ts'
import { chunksQueue, type ChunkTask } from './chunk-queue.ts'
import { closeWorker } from './close-worker.ts'
import { restAfterErrors } from './rest-after-errors.ts'

/** `later`: back into the queue, for somebody to take up after that time. */
export type TaskOutcome = { readonly kind: 'done' } | { readonly kind: 'later'; readonly afterMs: number }

export interface ChunkWorkersDeps {
  /** Without a deadline for its commands: workers block on it. */
  readonly connection: Redis
  /** Of the queue's keys in Redis. */
  readonly prefix: string
  /** Throws for what nobody has thought of; then the task is tried again, some times. */
  readonly run: (task: ChunkTask, signal: AbortSignal) => Promise<TaskOutcome>
  /** Nobody tries the task again: it was thrown too often, or it has killed its workers. */
  readonly onGivenUp: (task: ChunkTask, error: Error) => void
}

/** A worker that does not renew its hold on a task for so long has died; another one takes the task up. */
const lockMs = 10_000
const lookForStalledMs = 5000
/** Handing back what is under way takes some commands of Redis. */
const handBackMs = 3000
/** Workers that may die over one task. */
const deathsOverTask = 10

/** This process's part of the work on the queue. A task is done at least once: two workers may be at the same one. */
export class ChunkWorkers {
  readonly #worker: Worker<ChunkTask>
  readonly #connection: Redis
  readonly #stopping = new AbortController()

  constructor({ connection, prefix, run, onGivenUp }: ChunkWorkersDeps) {
    this.#connection = connection
    const process = async (job: Job<ChunkTask>, token?: string): Promise<void> => {
      const end = await run(job.data, this.#stopping.signal)
      if (end.kind === 'done') return
      await job.moveToDelayed(Date.now() + end.afterMs, token)
      // BullMQ's word for: this job is somewhere else now.
      throw new DelayedError()
    }
    this.#worker = new Worker(chunksQueue, process, {
      connection,
      prefix,
      autorun: false,
      concurrency: 1,
      lockDuration: lockMs,
      stalledInterval: lookForStalledMs,
      maxStalledCount: deathsOverTask,
    })
    restAfterErrors(this.#worker)
    this.#worker.on('failed', (job, error) => {
      if (job !== undefined && isOver(job)) onGivenUp(job.data, error)
    })
  }

  start(): void {
    void this.#worker.run()
  }

  /** How many tasks are under way here at most, from now on. */
  set concurrency(count: number) {
    this.#worker.concurrency = count
  }

  get concurrency(): number {
    return this.#worker.concurrency
  }

  /** Takes up nothing more; what is under way may end within `graceMs`, and is handed back after that. */
  async close(graceMs: number): Promise<void> {
    const handBack = setTimeout(() => this.#stopping.abort(), graceMs)
    await closeWorker(this.#worker, this.#connection, graceMs + handBackMs)
    clearTimeout(handBack)
  }
}

/** Nobody takes it up again. */
function isOver({ attemptsMade, opts, stalledCounter }: Job): boolean {
  return attemptsMade >= (opts.attempts ?? 1) || stalledCounter > deathsOverTask
}
