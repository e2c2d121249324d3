import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import type { JobStore } from '../jobs/job-store.ts'
import { hasEnded, type JobState } from '../jobs/job.ts'
import { shareOf } from './slot-limiter.ts'

/** What one client, or all of them, have in the store. */
export interface Usage {
  /** Inputs and results, compressed; those of lists that are still coming in too. */
  readonly bytes: number
  readonly jobs: number
  /** Jobs that have not ended. */
  readonly pending: number
}

interface ClientUsage {
  readonly own: Usage
  readonly all: Usage
}

interface StoreUsage {
  readonly sum: UsageSum
  readonly states: Readonly<Record<JobState, number>>
}

export interface StorageQuotaOptions {
  readonly store: Pick<JobStore, 'all'>
  /** 0: no bound. */
  readonly maxBytes: number
  readonly maxJobs: number
  /** What one client may have of both. */
  readonly sharePercent: number
}

const noUsage: Usage = { bytes: 0, jobs: 0, pending: 0 }

/** Room is made when results expire or are removed: not soon. */
export const fullRetrySeconds = 60
/** Results of clients that are over their share leave this part of the store to the lists of others. */
const leftToOthers = 0.1
/** Several gauges of one scrape, and requests that come together, share one reading. */
const sharedForMs = 1000
/** Reading takes at most this part of the time, however many jobs there are. */
const maxReadingShare = 0.05

/**
 * Whether the store has room: for all clients together, and for each one its share. It is decided by what all jobs take
 * together, which is read from Redis at most once a second. Results of a list that was accepted may exceed a client's
 * share while others do not need the room.
 */
export class StorageQuota {
  readonly #options: StorageQuotaOptions
  #read: Promise<StoreUsage> | undefined
  #readAgainMs = -Infinity
  /** What this process has stored since the last reading: a second is long enough to fill a store. */
  #since = new UsageSum()
  /** Of each job that is being stored, its client: a reading that begins meanwhile may include the job or not. */
  readonly #opening = new Map<string, string>()

  constructor(options: StorageQuotaOptions) {
    this.#options = options
  }

  /**
   * Whether a list may continue to come in.
   * @param list as far as it has come in; bytes as they are stored
   * @throws ProxyError `payload_too_large` for a list that can never fit, `store_full`; and RedisUnavailable
   */
  async require(holder: string, list: { readonly lines: number; readonly bytes: number }): Promise<void> {
    this.#requireFitting(list.lines, list.bytes)
    this.#requireBytes(await this.usageOf(holder))
  }

  /** Whether more results may be kept for a client. @throws RedisUnavailable */
  async mayGrow(holder: string): Promise<boolean> {
    const { maxBytes } = this.#options
    if (maxBytes === 0) return true
    const { sum } = await this.usage()
    return sum.of(holder).bytes < this.#shareOf(maxBytes) || sum.all.bytes < maxBytes * (1 - leftToOthers)
  }

  /** What a client has in the store and may have, as `GET /jobs` shows it. @throws RedisUnavailable */
  async holding(holder: string) {
    const { maxBytes, maxJobs } = this.#options
    const { own } = await this.usageOf(holder)
    return {
      bytes: own.bytes,
      ...(maxBytes > 0 && { max_bytes: this.#shareOf(maxBytes) }),
      jobs: own.jobs,
      max_jobs: this.#shareOf(maxJobs),
    }
  }

  /** Counts what a client's list takes until the next reading includes it. */
  add(holder: string, usage: Partial<Usage>): void {
    this.#since.add(holder, { ...noUsage, ...usage })
  }

  /**
   * The same of a new job, from before the store has it.
   * @throws ProxyError `store_full` when there is no room; RedisUnavailable; and what `open` throws
   */
  async addJob(holder: string, id: string, open: () => Promise<unknown>): Promise<void> {
    let read: Promise<StoreUsage>
    let sum: UsageSum
    do {
      read = this.usage()
      ;({ sum } = await read)
      // A reading that has begun meanwhile may include the job, which would count twice.
    } while (read !== this.#read)
    // From here until it counts nothing is awaited: others go on from the same reading.
    const usage = this.#withSince(holder, sum)
    this.#requireJobs(usage)
    this.#requireBytes(usage)
    this.add(holder, { jobs: 1, pending: 1 })
    this.#opening.set(id, holder)
    try {
      await open()
    } finally {
      this.#opening.delete(id)
    }
  }

  /** Of one client and of all, including what this process has stored since the reading. @throws RedisUnavailable */
  async usageOf(holder: string): Promise<ClientUsage> {
    const { sum } = await this.usage()
    return this.#withSince(holder, sum)
  }

  /** Up to a second old. @throws RedisUnavailable */
  usage(): Promise<StoreUsage> {
    const nowMs = performance.now()
    if (this.#read === undefined || nowMs > this.#readAgainMs) {
      this.#readAgainMs = Infinity
      this.#read = this.#sum().finally(() => {
        this.#readAgainMs = nowMs + Math.max(sharedForMs, (performance.now() - nowMs) / maxReadingShare)
      })
      // The rejection is handled by those who wait for this reading. Later calls read again.
      this.#read.catch(() => (this.#read = undefined))
    }
    return this.#read
  }

  async #sum(): Promise<StoreUsage> {
    this.#since = new UsageSum()
    const opening = new Map(this.#opening)
    const states: Record<JobState, number> = { receiving: 0, queued: 0, running: 0, completed: 0, cancelled: 0 }
    const sum = new UsageSum()
    for await (const job of this.#options.store.all()) {
      opening.delete(job.id)
      states[job.state] += 1
      sum.add(job.holder, { bytes: job.storedBytes, jobs: 1, pending: hasEnded(job) ? 0 : 1 })
    }
    for (const holder of opening.values()) sum.add(holder, { bytes: 0, jobs: 1, pending: 1 })
    return { sum, states }
  }

  #withSince(holder: string, sum: UsageSum): ClientUsage {
    const since = this.#since
    return { own: sumOf(sum.of(holder), since.of(holder)), all: sumOf(sum.all, since.all) }
  }

  #requireJobs({ own, all }: ClientUsage): void {
    const { maxJobs } = this.#options
    if (own.jobs >= this.#shareOf(maxJobs)) throw this.#clientFull(`${own.jobs} jobs`, 'BULK_MAX_JOBS')
    if (all.jobs >= maxJobs) throw storeFull(`There are ${all.jobs} jobs (BULK_MAX_JOBS)`)
  }

  #requireBytes({ own, all }: ClientUsage): void {
    const { maxBytes } = this.#options
    if (maxBytes === 0) return
    if (own.bytes >= this.#shareOf(maxBytes)) throw this.#clientFull(`${own.bytes} bytes`, 'BULK_MAX_STORED_BYTES')
    if (all.bytes >= maxBytes) throw storeFull(`The store holds ${all.bytes} bytes of jobs (BULK_MAX_STORED_BYTES)`)
  }

  #requireFitting(lines: number, bytes: number): void {
    const { maxBytes, sharePercent } = this.#options
    const share = this.#shareOf(maxBytes)
    if (maxBytes === 0 || bytes <= share) return
    throw new ProxyError('payload_too_large', {
      message:
        `The list takes more than the ${share} bytes that one client may store, compressed: ` +
        `${sharePercent} % (BULK_CLIENT_SHARE_PERCENT) of BULK_MAX_STORED_BYTES. About ${Math.floor((lines / bytes) * share)} ` +
        'lines like these fit; send it in parts, and remove each job when you have its results',
    })
  }

  #clientFull(what: string, setting: string): ProxyError {
    const { sharePercent } = this.#options
    return storeFull(
      `Your jobs are ${what}, as much as one client may have: ${sharePercent} % (BULK_CLIENT_SHARE_PERCENT) of ${setting}`,
    )
  }

  #shareOf(max: number): number {
    return shareOf(max, this.#options.sharePercent)
  }
}

/** Of all clients, and of each (`Job.holder`). */
class UsageSum {
  all = noUsage
  readonly #byHolder = new Map<string, Usage>()

  add(holder: string, usage: Usage): void {
    this.all = sumOf(this.all, usage)
    this.#byHolder.set(holder, sumOf(this.of(holder), usage))
  }

  of(holder: string): Usage {
    return this.#byHolder.get(holder) ?? noUsage
  }
}

function sumOf(one: Usage, other: Usage): Usage {
  return { bytes: one.bytes + other.bytes, jobs: one.jobs + other.jobs, pending: one.pending + other.pending }
}

function storeFull(why: string): ProxyError {
  return new ProxyError('store_full', {
    message: `${why}; remove some that are done, or try again after the time in Retry-After`,
    retryAfterSeconds: fullRetrySeconds,
  })
}
