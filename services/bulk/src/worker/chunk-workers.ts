import type { Redis } from '@ipfleet/redis/connection.ts'
import { bullWorker, closeWorker, type Job, putOff, type Worker } from './bull.ts'
import { chunksQueue, type ChunkTask } from './chunk-queue.ts'

/** `later`: the task goes back into the queue for that time. */
export type TaskOutcome = { readonly kind: 'done' } | { readonly kind: 'later'; readonly afterMs: number }

export interface ChunkWorkersDeps {
  /** Without a deadline for its commands: workers block on it. */
  readonly connection: Redis
  /** Of the queue's keys in Redis. */
  readonly prefix: string
  /** What it throws is unexpected; the task is tried again some times. */
  readonly run: (task: ChunkTask, signal: AbortSignal) => Promise<TaskOutcome>
  /** The task is not tried again: it has failed too often, or has killed its workers. */
  readonly onGivenUp: (task: ChunkTask, error: Error) => void
}

/** A worker that has not renewed its lock on a task for so long has died; another one takes the task up. */
const lockMs = 10_000
const lookForStalledMs = 5000
/** To hand back what is under way takes some commands of Redis. */
const handBackMs = 3000
const deathsOverTask = 10

/** This process's part of the work on the queue. A task is done at least once: two workers may do the same one. */
export class ChunkWorkers {
  readonly #worker: Worker<ChunkTask, void>
  readonly #connection: Redis
  readonly #stopping = new AbortController()

  constructor({ connection, prefix, run, onGivenUp }: ChunkWorkersDeps) {
    this.#connection = connection
    const process = async (task: Job<ChunkTask>, token?: string): Promise<void> => {
      const outcome = await run(task.data, this.#stopping.signal)
      if (outcome.kind === 'later') await putOff(task, outcome.afterMs, token)
    }
    this.#worker = bullWorker<ChunkTask, void>(chunksQueue, process, {
      connection,
      prefix,
      autorun: false,
      concurrency: 1,
      lockDuration: lockMs,
      stalledInterval: lookForStalledMs,
      maxStalledCount: deathsOverTask,
    })
    this.#worker.on('failed', (job, error) => {
      if (job !== undefined && isOver(job)) onGivenUp(job.data, error)
    })
  }

  start(): void {
    void this.#worker.run()
  }

  /** How many tasks are under way here at most. */
  set concurrency(count: number) {
    if (count !== this.#worker.concurrency) this.#worker.concurrency = count
  }

  /** Takes up nothing more. What is under way may end within `graceMs`, and is handed back after that. */
  async close(graceMs: number): Promise<void> {
    const handBack = setTimeout(() => this.#stopping.abort(), graceMs)
    await closeWorker(this.#worker, this.#connection, graceMs + handBackMs)
    clearTimeout(handBack)
  }
}

/** No worker takes it up again. */
function isOver({ attemptsMade, opts, stalledCounter }: Job): boolean {
  return attemptsMade >= (opts.attempts ?? 1) || stalledCounter > deathsOverTask
}
