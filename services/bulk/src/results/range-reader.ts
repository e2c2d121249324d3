import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import type { JobStore } from '../jobs/job-store.ts'
import { hasEnded, type Job } from '../jobs/job.ts'
import { type ByteRange, type Span, spanOf } from './byte-range.ts'
import { bytesOf, cutOut, type DoneExtent, readyChunks } from './extent.ts'
import { cutTo } from './pieces.ts'
import type { ResultReader } from './result-reader.ts'

export interface RangeRequest {
  readonly range: ByteRange
  /** Aborts when nothing more is to be waited for; undefined: nothing is, and what is there counts. */
  readonly waiting: AbortSignal | undefined
  /** Aborts when the client has left. */
  readonly left: AbortSignal
}

/** `nothing`: of so many bytes none is in the range. */
export type RangePart =
  | {
      readonly kind: 'part'
      readonly span: Span
      /** Of all results; undefined: not known yet. */
      readonly total: number | undefined
      readonly pieces: AsyncIterable<Buffer>
    }
  | { readonly kind: 'nothing'; readonly bytes: number }

/**
 * Parts of a job's NDJSON by bytes. What is there never changes, so that a client goes on where it was however often,
 * also while the job is under way.
 */
export class RangeReader {
  readonly #store: JobStore
  readonly #reader: ResultReader

  constructor(store: JobStore, reader: ResultReader) {
    this.#store = store
    this.#reader = reader
  }

  /** What there is of a range. @throws ProxyError `not_found`, and RedisUnavailable */
  async part({ id }: Job, { range, waiting, left }: RangeRequest): Promise<RangePart> {
    for (;;) {
      const change = waiting && this.#reader.changed(id, waiting)
      // In this order: whatever was done before the job ended is among the places that are read after.
      const job = await this.#store.read(id)
      if (job === undefined) throw new ProxyError('not_found')
      const places = readyChunks(job, await this.#store.places(id))
      const bytes = bytesOf(places)
      const span = spanOf(range, bytes)
      if (span !== undefined) {
        const total = hasEnded(job) ? bytes : undefined
        return { kind: 'part', span, total, pieces: this.#pieces(id, places, span, left) }
      }
      if (hasEnded(job) || waiting === undefined || waiting.aborted) return { kind: 'nothing', bytes }
      await change
    }
  }

  #pieces(id: string, all: readonly DoneExtent[], span: Span, left: AbortSignal): AsyncIterable<Buffer> {
    const { places, skip } = cutOut(all, span)
    const indices = places.map(({ index }) => index)
    return cutTo(this.#reader.stored(id, indices, left), skip, span.last - span.first + 1)
  }
}
