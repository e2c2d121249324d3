import type { ChunkQueue, QueueDepth } from '../queue/chunk-queue.ts'
import { hasEnded, type JobState } from './job.ts'
import type { JobStore } from './job-store.ts'

/** The same from whichever process it is read. */
export interface FleetFigures {
  readonly jobs: Readonly<Record<JobState, number>>
  readonly queue: QueueDepth
  readonly storedBytes: number
  /** With what the results of jobs under way will take, as far as can be told. */
  readonly promisedBytes: number
}

/** What a result takes, compressed: records of IPinfo with host name and network. */
const bytesOfLine = 60
const mostJobs = 10_000
/** Several gauges of one scrape, and requests that come together, share what was read. */
const sharedForMs = 1000

/** What all jobs take together, read from Redis at most once a second. */
export class JobFigures {
  readonly #store: JobStore
  readonly #queue: ChunkQueue
  readonly #maxStoredBytes: number
  #read: Promise<FleetFigures> | undefined
  #readMs = -Infinity

  /** @param maxStoredBytes 0: no bound */
  constructor(store: JobStore, queue: ChunkQueue, maxStoredBytes: number) {
    this.#store = store
    this.#queue = queue
    this.#maxStoredBytes = maxStoredBytes
  }

  /** @throws RedisUnavailable */
  read(): Promise<FleetFigures> {
    const nowMs = performance.now()
    if (this.#read === undefined || nowMs - this.#readMs > sharedForMs) {
      this.#readMs = nowMs
      this.#read = this.#sum()
      // Whoever waits for it is told; later ones read anew.
      this.#read.catch(() => (this.#read = undefined))
    }
    return this.#read
  }

  /**
   * Whether there is room for another job with at least so many lines. Those that have been taken are brought to their
   * end all the same.
   */
  readonly hasRoom = async (lines: number): Promise<boolean> => {
    if (this.#maxStoredBytes === 0) return true
    return (await this.read()).promisedBytes + lines * bytesOfLine < this.#maxStoredBytes
  }

  async #sum(): Promise<FleetFigures> {
    const [jobs, queue] = await Promise.all([this.#store.list(undefined, { limit: mostJobs }), this.#queue.depth()])
    const states: Record<JobState, number> = { receiving: 0, queued: 0, running: 0, completed: 0, cancelled: 0 }
    for (const { state } of jobs) states[state] += 1
    const storedBytes = jobs.reduce((sum, job) => sum + job.storedBytes, 0)
    const linesToCome = jobs.reduce((sum, job) => sum + (hasEnded(job) ? 0 : job.lines.total - job.lines.done), 0)
    return { jobs: states, queue, storedBytes, promisedBytes: storedBytes + linesToCome * bytesOfLine }
  }
}
