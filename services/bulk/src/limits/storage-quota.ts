import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { type JobFigures, noUsage } from '../jobs/job-figures.ts'
import { shareOf } from './slot-limiter.ts'

export interface StorageQuotaOptions {
  readonly figures: Pick<JobFigures, 'usage' | 'usageOf'>
  /** 0: no bound. */
  readonly maxBytes: number
  readonly maxJobs: number
  /** What one client may have of both. */
  readonly sharePercent: number
}

/** A list that is coming in, as far as it has. */
export interface ListSoFar {
  readonly lines: number
  /** As it is stored. */
  readonly bytes: number
}

/** What a client has in the store and may have, as `GET /jobs` says it. */
export interface Holding {
  readonly bytes: number
  readonly max_bytes?: number
  readonly jobs: number
  readonly max_jobs: number
}

/** Room is made when results expire or someone removes some: not soon. */
const fullRetrySeconds = 60
/** Results of clients that are over their share leave this part of the store to the lists of others. */
const leftToOthers = 0.1

/**
 * Whether the store has room: for all clients together, and for each one its share. Reckoned by what is stored; results
 * of lists that have been taken may go beyond a client's share while nobody else needs the room.
 */
export class StorageQuota {
  readonly #options: StorageQuotaOptions

  constructor(options: StorageQuotaOptions) {
    this.#options = options
  }

  /**
   * Whether a list may come in, or go on doing so.
   * @throws ProxyError `payload_too_large` for a list that can never fit, `store_full`; and RedisUnavailable
   */
  async require(holder: string, list: ListSoFar): Promise<void> {
    const { maxBytes, maxJobs, figures } = this.#options
    this.#requireFitting(list)
    const { own, all } = await figures.usageOf(holder)
    // A list that comes in is among the jobs already.
    const isNew = list.bytes === 0
    if (isNew && own.jobs >= this.#shareOf(maxJobs)) throw this.#clientFull(`${own.jobs} jobs`, 'BULK_MAX_JOBS')
    if (isNew && all.jobs >= maxJobs) throw storeFull(`There are ${all.jobs} jobs (BULK_MAX_JOBS)`)
    if (maxBytes === 0) return
    if (own.bytes >= this.#shareOf(maxBytes)) throw this.#clientFull(`${own.bytes} bytes`, 'BULK_MAX_STORED_BYTES')
    if (all.bytes >= maxBytes) throw storeFull(`The store holds ${all.bytes} bytes of jobs (BULK_MAX_STORED_BYTES)`)
  }

  /** Whether more results may be kept for a client. @throws RedisUnavailable */
  async mayGrow(holder: string): Promise<boolean> {
    const { maxBytes, figures } = this.#options
    if (maxBytes === 0) return true
    const { all, byHolder } = await figures.usage()
    const { bytes } = byHolder.get(holder) ?? noUsage
    return bytes < this.#shareOf(maxBytes) || all.bytes < maxBytes * (1 - leftToOthers)
  }

  /** @throws RedisUnavailable */
  async holding(holder: string): Promise<Holding> {
    const { maxBytes, maxJobs, figures } = this.#options
    const { own } = await figures.usageOf(holder)
    return {
      bytes: own.bytes,
      ...(maxBytes > 0 && { max_bytes: this.#shareOf(maxBytes) }),
      jobs: own.jobs,
      max_jobs: this.#shareOf(maxJobs),
    }
  }

  #requireFitting({ lines, bytes }: ListSoFar): void {
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

function storeFull(why: string): ProxyError {
  return new ProxyError('store_full', {
    message: `${why}; remove some that are done, or try again after the time in Retry-After`,
    retryAfterSeconds: fullRetrySeconds,
  })
}
