import type { ChunkQueue, QueueDepth } from '../queue/chunk-queue.ts'
import type { JobState } from './job.ts'
import type { JobStore } from './job-store.ts'

/** The same from whichever process it is read. */
export interface FleetFigures {
  readonly jobs: Readonly<Record<JobState, number>>
  readonly queue: QueueDepth
  readonly storedBytes: number
}

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

  /** Whether there is room for more inputs and results. */
  readonly hasRoom = async (): Promise<boolean> => {
    return this.#maxStoredBytes === 0 || (await this.read()).storedBytes < this.#maxStoredBytes
  }

  async #sum(): Promise<FleetFigures> {
    const [jobs, queue] = await Promise.all([this.#store.list(undefined, { limit: mostJobs }), this.#queue.depth()])
    const states: Record<JobState, number> = { receiving: 0, queued: 0, running: 0, completed: 0, cancelled: 0 }
    for (const { state } of jobs) states[state] += 1
    return { jobs: states, queue, storedBytes: jobs.reduce((sum, { storedBytes }) => sum + storedBytes, 0) }
  }
}
