import type { ChunkQueue, QueueDepth } from '../worker/chunk-queue.ts'
import { hasEnded, type JobState } from './job.ts'
import type { JobStore } from './job-store.ts'

/** What one client, or all of them, have in the store. */
export interface Usage {
  /** Inputs and results, compressed; those of bodies that are still coming in too. */
  readonly bytes: number
  readonly jobs: number
  /** Of the jobs, those that have not ended. */
  readonly pending: number
}

export interface StoreUsage {
  readonly all: Usage
  readonly states: Readonly<Record<JobState, number>>
  /** By client (`Job.holder`). */
  readonly byHolder: ReadonlyMap<string, Usage>
}

/** The same from whichever process it is read. */
export interface FleetFigures {
  readonly jobs: Readonly<Record<JobState, number>>
  readonly queue: QueueDepth
  readonly storedBytes: number
}

export const noUsage: Usage = { bytes: 0, jobs: 0, pending: 0 }

const maxJobs = 100_000
/** Several gauges of one scrape, and requests that come together, share what was read. */
const sharedForMs = 1000
/** Reading takes no more than this part of the time, however many jobs there are. */
const readingShare = 0.05

/** What all jobs take together, read from Redis at most once a second. */
export class JobFigures {
  readonly #store: JobStore
  readonly #queue: Pick<ChunkQueue, 'depth'>
  #read: Promise<StoreUsage> | undefined
  #readAgainMs = -Infinity
  /** What has come in here since the figures were read: a second is long enough to fill a store. */
  #since = new UsageSum()

  constructor(store: JobStore, queue: Pick<ChunkQueue, 'depth'>) {
    this.#store = store
    this.#queue = queue
  }

  /** @throws RedisUnavailable, and what the queue throws */
  async read(): Promise<FleetFigures> {
    const [{ all, states }, queue] = await Promise.all([this.usage(), this.#queue.depth()])
    return { jobs: states, queue, storedBytes: all.bytes }
  }

  /** Of one client and of all, what has come in here up to now included. @throws RedisUnavailable */
  async usageOf(holder: string): Promise<{ readonly own: Usage; readonly all: Usage }> {
    const { all, byHolder } = await this.usage()
    const since = this.#since
    return {
      own: sumOf(byHolder.get(holder) ?? noUsage, since.byHolder.get(holder) ?? noUsage),
      all: sumOf(all, since.all),
    }
  }

  /** A job is begun here, or more of it has come in. */
  add(holder: string, usage: Partial<Usage>): void {
    this.#since.add(holder, { ...noUsage, ...usage })
  }

  /** Up to a second old. @throws RedisUnavailable */
  usage(): Promise<StoreUsage> {
    const nowMs = performance.now()
    if (this.#read === undefined || nowMs > this.#readAgainMs) {
      this.#readAgainMs = Infinity
      this.#read = this.#sum().finally(() => {
        this.#readAgainMs = nowMs + Math.max(sharedForMs, (performance.now() - nowMs) / readingShare)
      })
      // Whoever waits for it is told; later ones read anew.
      this.#read.catch(() => (this.#read = undefined))
    }
    return this.#read
  }

  async #sum(): Promise<StoreUsage> {
    this.#since = new UsageSum()
    const states: Record<JobState, number> = { receiving: 0, queued: 0, running: 0, completed: 0, cancelled: 0 }
    const sum = new UsageSum()
    for (const job of await this.#store.listAll(maxJobs)) {
      states[job.state] += 1
      sum.add(job.holder, { bytes: job.storedBytes, jobs: 1, pending: hasEnded(job) ? 0 : 1 })
    }
    return { all: sum.all, byHolder: sum.byHolder, states }
  }
}

class UsageSum {
  all = noUsage
  readonly byHolder = new Map<string, Usage>()

  add(holder: string, usage: Usage): void {
    this.all = sumOf(this.all, usage)
    this.byHolder.set(holder, sumOf(this.byHolder.get(holder) ?? noUsage, usage))
  }
}

function sumOf(one: Usage, other: Usage): Usage {
  return { bytes: one.bytes + other.bytes, jobs: one.jobs + other.jobs, pending: one.pending + other.pending }
}
