import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import type { ChunkExtent } from '../jobs/job-store.ts'
import { hasEnded, type Job } from '../jobs/job.ts'
import type { Span } from './byte-range.ts'

/** Chunks of which the results are there. */
export interface DoneExtent extends ChunkExtent {
  readonly bytes: number
}

/**
 * What can be handed out now, in the order of the inputs: of a job under way all before the first chunk that is not done,
 * of one that has ended all that was done.
 * @param places read after the job
 * @throws ProxyError `not_found` when the job has gone in between, which would look like one without results
 */
export function readyChunks(job: Job, places: readonly ChunkExtent[]): readonly DoneExtent[] {
  if (places.length < job.chunks.total) throw new ProxyError('not_found', { detail: 'the job has just gone' })
  if (hasEnded(job)) {
    const done = places.filter(isDone)
    if (done.length < job.chunks.done) throw new ProxyError('not_found', { detail: 'the job has just gone' })
    return done
  }
  const gap = places.findIndex((place) => !isDone(place))
  return (gap < 0 ? places : places.slice(0, gap)).filter(isDone)
}

function isDone(place: ChunkExtent): place is DoneExtent {
  return place.bytes !== undefined
}

export const bytesOf = (places: readonly DoneExtent[]): number => places.reduce((sum, { bytes }) => sum + bytes, 0)

export const linesOf = (places: readonly ChunkExtent[]): number => places.reduce((sum, { lines }) => sum + lines, 0)

/** Where to begin among some chunks. */
export interface Start {
  /** The chunks from this one on. */
  readonly from: number
  /** Lines of that one to leave out. */
  readonly skip: number
}

/** After so many lines. */
export function startAfterLines(places: readonly ChunkExtent[], lines: number): Start {
  let before = 0
  for (const [from, place] of places.entries()) {
    if (before + place.lines > lines) return { from, skip: lines - before }
    before += place.lines
  }
  return { from: places.length, skip: 0 }
}

/** Chunks that hold a span of all bytes. */
export interface Cut {
  readonly places: readonly DoneExtent[]
  /** Bytes of the first one to leave out. */
  readonly skip: number
}

export function cutOut(places: readonly DoneExtent[], { first, last }: Span): Cut {
  const cut: DoneExtent[] = []
  let skip = 0
  let before = 0
  for (const place of places) {
    const end = before + place.bytes
    if (end > first && before <= last) {
      if (cut.length === 0) skip = first - before
      cut.push(place)
    }
    before = end
  }
  return { places: cut, skip }
}
