import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import type { JobChanges } from '../jobs/job-changes.ts'
import type { JobStore } from '../jobs/job-store.ts'
import { hasEnded, type Job } from '../jobs/job.ts'
import { retryWhileDown } from '../jobs/retry-while-down.ts'
import { readyChunks } from './extent.ts'

/** Chunks that one reader holds at a time; one of whole records takes half a megabyte, and at most a few. */
const chunksAtOnce = 2

/** Reads the results of jobs out of the store, chunk by chunk, for one who takes them. */
export class ResultReader {
  readonly #store: JobStore
  readonly #changes: JobChanges

  constructor(store: JobStore, changes: JobChanges) {
    this.#store = store
    this.#changes = changes
  }

  /**
   * The results of chunks that are done.
   * @throws ProxyError `not_found` when the job expires or is removed meanwhile, and RedisUnavailable
   */
  async *stored(id: string, indices: readonly number[], signal: AbortSignal): AsyncGenerator<Buffer> {
    for (let at = 0; at < indices.length; at += chunksAtOnce) {
      const wanted = indices.slice(at, at + chunksAtOnce)
      for (const body of await retryWhileDown(() => this.#store.results(id, wanted), signal)) yield body ?? gone()
    }
  }

  /**
   * The results from the chunk `from` on, each as soon as it and all before it are done, up to the end of the job.
   * @throws as `stored`; ProxyError `client_left` when the signal aborts
   */
  async *followed({ id, chunks }: Job, from: number, signal: AbortSignal): AsyncGenerator<Buffer> {
    let next = from
    while (next < chunks.total) {
      const change = this.#changes.next(id, signal)
      const job = await this.#read(id, signal)
      for await (const body of this.#doneFrom(id, next, chunks.total, signal)) {
        next += 1
        yield body
      }
      if (hasEnded(job)) {
        yield* this.#restOf(job, next, signal)
        return
      }
      if (next < chunks.total) await change
      if (signal.aborted) throw new ProxyError('client_left')
    }
  }

  /** Resolves when there may be more of a job than there was. */
  async changed(id: string, signal: AbortSignal): Promise<void> {
    await this.#changes.next(id, signal)
  }

  /** Up to the first one that is not done. */
  async *#doneFrom(id: string, from: number, total: number, signal: AbortSignal): AsyncGenerator<Buffer> {
    // The first may well not be done, and then what comes after it would be read for nothing.
    let atOnce = 1
    for (let next = from; next < total;) {
      const wanted = Array.from({ length: Math.min(atOnce, total - next) }, (_, offset) => next + offset)
      const bodies = await retryWhileDown(() => this.#store.results(id, wanted), signal)
      for (const body of bodies) {
        if (body === undefined) return
        next += 1
        yield body
      }
      atOnce = chunksAtOnce
    }
  }

  /** Of a job that has ended. A cancelled one has gaps. */
  async *#restOf(job: Job, from: number, signal: AbortSignal): AsyncGenerator<Buffer> {
    const places = await retryWhileDown(() => this.#store.places(job.id), signal)
    const indices = readyChunks(job, places)
      .map(({ index }) => index)
      .filter((index) => index >= from)
    yield* this.stored(job.id, indices, signal)
  }

  async #read(id: string, signal: AbortSignal): Promise<Job> {
    return (await retryWhileDown(() => this.#store.read(id), signal)) ?? gone()
  }
}

function gone(): never {
  throw new ProxyError('not_found', { detail: 'the job has gone while its results were sent' })
}
