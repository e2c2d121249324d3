import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { hasEnded, type Job, type ChunkExtent } from '../jobs/job.ts'

export interface DoneExtent extends ChunkExtent {
  readonly bytes: number
}

/**
 * The chunks that can be sent now, in the order of the inputs: of a running job those before the first one that is not
 * done, of an ended job all that are done.
 * @param chunks read after the job
 * @throws ProxyError `not_found` when the job was removed in between, which would look like a job without results
 */
export function readyChunks(job: Job, chunks: readonly ChunkExtent[]): readonly DoneExtent[] {
  const gap = chunks.findIndex((chunk) => !isDone(chunk))
  const ready = (hasEnded(job) || gap < 0 ? chunks : chunks.slice(0, gap)).filter(isDone)
  if (chunks.length < job.chunks.total || (hasEnded(job) && ready.length < job.chunks.done)) {
    throw new ProxyError('not_found', { detail: 'the job has just gone' })
  }
  return ready
}

function isDone(chunk: ChunkExtent): chunk is DoneExtent {
  return chunk.bytes !== undefined
}

export const indicesOf = (chunks: readonly ChunkExtent[]): number[] => chunks.map(({ index }) => index)

export const bytesOf = (chunks: readonly DoneExtent[]): number => chunks.reduce((sum, { bytes }) => sum + bytes, 0)

export const linesOf = (chunks: readonly ChunkExtent[]): number => chunks.reduce((sum, { lines }) => sum + lines, 0)

/** @returns the position of the chunk that holds the first line after `lines`, and how many of its lines to skip */
export function startAfterLines(
  chunks: readonly ChunkExtent[],
  lines: number,
): { readonly from: number; readonly skip: number } {
  let before = 0
  for (const [from, chunk] of chunks.entries()) {
    if (before + chunk.lines > lines) return { from, skip: lines - before }
    before += chunk.lines
  }
  return { from: chunks.length, skip: 0 }
}

/** The bytes that a client asks for: from one on, perhaps up to another (inclusive), or the last few. */
export type ByteRange =
  | { readonly kind: 'from'; readonly first: number; readonly last?: number }
  | { readonly kind: 'suffix'; readonly length: number }

/** Undefined for several ranges, other units and what is malformed: RFC 9110 §14.2 lets a server ignore the field. */
export function byteRangeIn(field: string | undefined): ByteRange | undefined {
  const [, first = '', last = '', suffix] = byteRange.exec(field ?? '') ?? []
  if (suffix !== undefined) return { kind: 'suffix', length: Number(suffix) }
  if (first === '') return undefined
  if (last === '') return { kind: 'from', first: Number(first) }
  return Number(last) < Number(first) ? undefined : { kind: 'from', first: Number(first), last: Number(last) }
}

/** No two runs of blanks meet in it, which would take it the square of their length. */
const byteRange = /^bytes\s*=\s*(?:(\d{1,15})\s*-\s*(\d{0,15})|-\s*(\d{1,15}))$/i

/** Positions of bytes; `last` is included. */
export interface Span {
  readonly first: number
  readonly last: number
}

/** The part of a range that is within so many bytes; undefined if there is none. */
export function spanOf(range: ByteRange, bytes: number): Span | undefined {
  const span =
    range.kind === 'suffix'
      ? { first: Math.max(0, bytes - range.length), last: bytes - 1 }
      : { first: range.first, last: Math.min(range.last ?? Infinity, bytes - 1) }
  return span.first <= span.last ? span : undefined
}

/** @returns the chunks that hold a span of all bytes, and how many bytes of the first one to skip */
export function cutOut(
  all: readonly DoneExtent[],
  { first, last }: Span,
): { readonly chunks: readonly DoneExtent[]; readonly skip: number } {
  const chunks: DoneExtent[] = []
  let skip = 0
  let before = 0
  for (const chunk of all) {
    const end = before + chunk.bytes
    if (end > first && before <= last) {
      if (chunks.length === 0) skip = first - before
      chunks.push(chunk)
    }
    before = end
  }
  return { chunks, skip }
}

const newline = 0x0a

export async function* withoutLines(bodies: AsyncIterable<Buffer>, lines: number): AsyncGenerator<Buffer> {
  let left = lines
  for await (const body of bodies) {
    let start = 0
    while (left > 0) {
      const end = body.indexOf(newline, start)
      if (end < 0) break
      start = end + 1
      left -= 1
    }
    if (start < body.length) yield body.subarray(start)
  }
}

/** So many bytes, after the first `skip`. */
export async function* cutTo(bodies: AsyncIterable<Buffer>, skip: number, bytes: number): AsyncGenerator<Buffer> {
  let start = skip
  let left = bytes
  for await (const body of bodies) {
    const piece = body.subarray(start, start + left)
    start = Math.max(0, start - body.length)
    left -= piece.length
    if (piece.length > 0) yield piece
    if (left === 0) return
  }
}
