import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import type { JobChanges } from '../jobs/job-changes.ts'
import type { JobStore } from '../jobs/job-store.ts'
import { hasEnded, type Job } from '../jobs/job.ts'
import { retryWhileDown } from '../jobs/retry-while-down.ts'
import { type ByteRange, bytesOf, cutOut, cutTo, indicesOf, readyChunks, type Span, spanOf } from './extent.ts'

/** `nothing`: none of the `bytes` that there are is in the range. */
export type RangePart =
  | {
      readonly kind: 'part'
      readonly span: Span
      /** Bytes of all results; undefined while the job runs. */
      readonly total: number | undefined
      readonly pieces: AsyncIterable<Buffer>
    }
  | { readonly kind: 'nothing'; readonly bytes: number }

/** Chunks that a reader holds at a time. A chunk of whole records takes half a megabyte, and at most a few. */
const chunksAtOnce = 2

/** Reads the results of jobs from the store chunk by chunk, as fast as the consumer takes them. */
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
      for (const body of await this.#results(id, indices.slice(at, at + chunksAtOnce), signal)) yield body ?? gone()
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
      const job = (await retryWhileDown(() => this.#store.read(id), signal)) ?? gone()
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

  /**
   * The bytes of a range of the job's NDJSON. They never change, so that a client can continue a download at any time,
   * also while the job runs.
   * @param waiting aborts when the range is no longer waited for; undefined: only what is stored counts
   * @param left aborts when the client has left
   * @throws ProxyError `not_found`, and RedisUnavailable
   */
  async range(id: string, range: ByteRange, waiting: AbortSignal | undefined, left: AbortSignal): Promise<RangePart> {
    for (;;) {
      const change = waiting && this.#changes.next(id, waiting)
      // In this order: the extents that are read after the job include all that was done before it ended.
      const job = await this.#store.read(id)
      if (job === undefined) throw new ProxyError('not_found')
      const ready = readyChunks(job, await this.#store.extents(id))
      const bytes = bytesOf(ready)
      const span = spanOf(range, bytes)
      if (span !== undefined) {
        const { chunks, skip } = cutOut(ready, span)
        const bodies = this.stored(id, indicesOf(chunks), left)
        const pieces = cutTo(bodies, skip, span.last - span.first + 1)
        return { kind: 'part', span, total: hasEnded(job) ? bytes : undefined, pieces }
      }
      if (hasEnded(job) || waiting === undefined || waiting.aborted) return { kind: 'nothing', bytes }
      await change
    }
  }

  /** Up to the first chunk that is not done. */
  async *#doneFrom(id: string, from: number, total: number, signal: AbortSignal): AsyncGenerator<Buffer> {
    // The first one is often not done; what comes after it would be read in vain.
    let atOnce = 1
    for (let next = from; next < total;) {
      const wanted = Array.from({ length: Math.min(atOnce, total - next) }, (_, offset) => next + offset)
      for (const body of await this.#results(id, wanted, signal)) {
        if (body === undefined) return
        next += 1
        yield body
      }
      atOnce = chunksAtOnce
    }
  }

  /** Of a job that has ended. A cancelled one has gaps. */
  async *#restOf(job: Job, from: number, signal: AbortSignal): AsyncGenerator<Buffer> {
    const ready = readyChunks(job, await retryWhileDown(() => this.#store.extents(job.id), signal))
    yield* this.stored(
      job.id,
      indicesOf(ready).filter((index) => index >= from),
      signal,
    )
  }

  #results(id: string, indices: readonly number[], signal: AbortSignal): Promise<(Buffer | undefined)[]> {
    return retryWhileDown(() => this.#store.results(id, indices), signal)
  }
}

function gone(): never {
  throw new ProxyError('not_found', { detail: 'the job has gone while its results were sent' })
}
