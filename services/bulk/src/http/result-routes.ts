import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { type Request, type Response, Router } from 'express'
import type { JobChanges } from '../jobs/job-changes.ts'
import type { JobStore } from '../jobs/job-store.ts'
import { hasEnded, type Job } from '../jobs/job.ts'
import type { ServiceSlots } from '../limits/slot-limiter.ts'
import {
  byteRangeIn,
  type ByteRange,
  bytesOf,
  indicesOf,
  linesOf,
  readyChunks,
  startAfterLines,
  withoutLines,
} from '../results/extent.ts'
import { contentTypes, inFormat } from '@ipfleet/ip-lists/result-format.ts'
import { ResultReader } from '../results/result-reader.ts'
import { sendPieces } from '../results/send-pieces.ts'
import { holderOf, jobAsked } from './job-access.ts'
import { type ResultRequest, resultRequestOf } from './result-request.ts'

export interface ResultRoutesDeps {
  readonly store: JobStore
  readonly changes: JobChanges
  readonly slots: Pick<ServiceSlots, 'downloads'>
  /** Aborts when this process is to stop: answers that wait for more end. */
  readonly streams: AbortSignal
  /** See `SendOptions`. */
  readonly maxStallMs?: number | undefined
}

/** A trailer: how many lines the client has then, if the job goes on. */
const nextCursorField = 'Ipfleet-Next-Cursor'

interface Lines {
  readonly pieces: AsyncIterable<Buffer>
  /** Of the whole in NDJSON, if that is known. */
  readonly bytes?: number
  /** The cursor to go on with, where the job does. */
  readonly next?: number
}

interface Answer extends ResultRoutesDeps {
  readonly reader: ResultReader
  readonly req: Request
  readonly res: Response
  readonly job: Job
  readonly asked: ResultRequest
  /** Aborts when the client has left. */
  readonly left: AbortSignal
  /** Aborts then, and when this process is to stop. */
  readonly waiting: AbortSignal
}

/** The results of a job, in the order of its inputs, also while the job runs. */
export function resultRoutes(deps: ResultRoutesDeps): Router {
  const reader = new ResultReader(deps.store, deps.changes)
  const router = Router({ caseSensitive: true })
  router.get('/jobs/:id/results', async (req, res) => {
    const slot = req.method === 'HEAD' ? undefined : deps.slots.downloads.take(holderOf(res))
    try {
      const asked = resultRequestOf(req)
      const job = await jobAsked(deps.store, req, res)
      if (asked.cursor > job.lines.total) {
        const message = `This job has ${job.lines.total} lines; the cursor is beyond them`
        throw new ProxyError('bad_request', { message })
      }
      const left = leftSignal(res)
      await send({ ...deps, reader, req, res, job, asked, left, waiting: AbortSignal.any([left, deps.streams]) })
    } finally {
      slot?.release()
    }
  })
  return router
}

async function send(answer: Answer): Promise<void> {
  const { req, res, job, asked } = answer
  const range = rangeAsked(req, asked, tagOf(job, asked))
  const gzip = range === undefined && req.acceptsEncodings(['gzip', 'identity']) === 'gzip'
  const tag = tagOf(job, asked, gzip)
  if (tag !== undefined) res.set('ETag', tag)
  // Before the range: what the client has, it has all of (RFC 9110 §13.2.2).
  if (req.fresh) res.status(304).end()
  else if (range) await sendRange(answer, range)
  else await sendLines(answer, gzip)
}

async function sendLines(answer: Answer, gzip: boolean): Promise<void> {
  const { req, res, job, asked, left, maxStallMs } = answer
  const { format, cursor, forSpreadsheets, follows } = asked
  const lines = await linesFor(answer)
  describe(res, job, asked)
  if (gzip) res.set('Content-Encoding', 'gzip')
  else if (lines.bytes !== undefined) res.set('Content-Length', String(lines.bytes))
  if (lines.next !== undefined) setNext(req, res, asked, lines.next)
  if (req.method === 'HEAD') return void res.end()
  res.flushHeaders()
  const pieces = inFormat(format, lines.pieces, { fields: job.fields, continues: cursor > 0, forSpreadsheets })
  const trailers = lines.next === undefined ? undefined : { [nextCursorField]: String(lines.next) }
  await sendPieces(res, pieces, { gzip, prompt: follows, left, maxStallMs, trailers })
}

async function linesFor({ store, reader, job, asked, left, waiting }: Answer): Promise<Lines> {
  const { format, cursor, follows } = asked
  const extents = await store.extents(job.id)
  const isLive = !hasEnded(job)
  if (isLive && follows) {
    const { from, skip } = startAfterLines(extents, cursor)
    return { pieces: withoutLines(reader.followed(job, from, waiting), skip) }
  }
  const ready = readyChunks(job, extents)
  const { from, skip } = startAfterLines(ready, cursor)
  const wanted = ready.slice(from)
  return {
    pieces: withoutLines(reader.stored(job.id, indicesOf(wanted), left), skip),
    ...(isLive && { next: Math.max(cursor, linesOf(ready)) }),
    ...(!isLive && format === 'ndjson' && skip === 0 && { bytes: bytesOf(wanted) }),
  }
}

async function sendRange({ reader, res, job, asked, left, waiting, maxStallMs }: Answer, range: ByteRange) {
  const part = await reader.range(job.id, range, asked.follows ? waiting : undefined, left)
  if (part.kind === 'nothing') return refuseRange(res, part.bytes)
  const { span, total, pieces } = part
  describe(res, job, asked)
  res.status(206).set({
    'Content-Range': `bytes ${span.first}-${span.last}/${total ?? '*'}`,
    'Content-Length': String(span.last - span.first + 1),
  })
  await sendPieces(res, pieces, { gzip: false, prompt: false, left, maxStallMs })
}

/** Of a job that has ended, and so no longer changes. A coded answer has its own tag (RFC 9110 §8.8.3). */
function tagOf(job: Job, { format, forSpreadsheets }: ResultRequest, gzip = false): string | undefined {
  const form = forSpreadsheets ? `${format}-spreadsheet` : format
  return hasEnded(job) ? `"${job.id}-${form}${gzip ? '-gzip' : ''}"` : undefined
}

/** The bytes that a request asks for and may have; undefined: it gets all. Cursors count in other units. */
function rangeAsked({ method, headers }: Request, { format, cursor }: ResultRequest, tag: string | undefined) {
  if (method !== 'GET' || format !== 'ndjson' || cursor > 0) return undefined
  const condition = headers['if-range']
  // Only a tag proves that the client has the beginning of the same (RFC 9110 §13.1.5).
  return condition === undefined || condition === tag ? byteRangeIn(headers.range) : undefined
}

/** Sets the header fields that all answers with results have. */
function describe(res: Response, { id }: Job, { format, cursor }: ResultRequest): void {
  res.set({
    // RFC 4180 §3.
    'Content-Type': `${contentTypes[format]}${format === 'csv' ? `; header=${cursor > 0 ? 'absent' : 'present'}` : ''}`,
    'Content-Disposition': `attachment; filename="${id}.${format}"`,
    // Only the owner may keep it, and has to revalidate: results grow, and they expire.
    'Cache-Control': 'private, no-cache',
  })
  res.vary(format === 'csv' ? 'Accept-Encoding, Accept, Sec-Fetch-Dest' : 'Accept-Encoding')
  if (format === 'ndjson' && cursor === 0) res.set('Accept-Ranges', 'bytes')
}

function setNext(req: Request, res: Response, { format, forSpreadsheets }: ResultRequest, cursor: number): void {
  const form = forSpreadsheets ? `${format}&spreadsheet=1` : format
  res.set('Link', `<${req.path}?format=${form}&cursor=${cursor}>; rel="next"`)
  // RFC 9110 §6.5: only where the answer is chunked.
  if (req.httpVersion === '1.1' && req.method !== 'HEAD') res.set('Trailer', nextCursorField)
}

/** Aborts when the answer's connection is closed, or the answer is out. */
export function leftSignal(res: Response): AbortSignal {
  const controller = new AbortController()
  if (res.closed) controller.abort()
  else res.once('close', () => controller.abort())
  return controller.signal
}

/** Written here and not by the error handler, because other errors must not have the Content-Range of results. */
function refuseRange(res: Response, bytes: number): void {
  const error = new ProxyError('range_not_satisfiable')
  res.removeHeader('ETag')
  res.status(error.status).set({ 'Content-Range': `bytes */${bytes}`, 'Cache-Control': 'no-store' })
  res.type('json').send(error.body())
}
