import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { type Request, type Response, Router } from 'express'
import type { JobChanges } from '../jobs/job-changes.ts'
import type { JobStore } from '../jobs/job-store.ts'
import { hasEnded, type Job } from '../jobs/job.ts'
import { type ByteRange, byteRangeIn } from '../results/byte-range.ts'
import { bytesOf, linesOf, readyChunks, startAfterLines } from '../results/extent.ts'
import { withoutLines } from '../results/pieces.ts'
import { RangeReader } from '../results/range-reader.ts'
import { contentTypes, inFormat } from '../results/result-format.ts'
import { ResultReader } from '../results/result-reader.ts'
import { sendPieces } from '../results/send-pieces.ts'
import type { ServiceSlots } from '../limits/service-slots.ts'
import { holderOf, jobAsked } from './job-access.ts'
import { leftSignal } from './left-signal.ts'
import { type ResultRequest, resultRequestOf } from './result-request.ts'

export interface ResultRoutesDeps {
  readonly store: JobStore
  readonly changes: JobChanges
  readonly places: Pick<ServiceSlots, 'downloads'>
  /** Aborts when this process is to stop: whoever waits for more gets no more. */
  readonly streams: AbortSignal
  /** How long a client may take nothing of an answer before its connection is cut. Default 5 minutes. */
  readonly maxStallMs?: number | undefined
}

/** A trailer: how many lines the client has then, if the job goes on. */
const nextCursorField = 'Ipfleet-Next-Cursor'

/** For how long an answer goes on. */
interface Signals {
  /** Aborts when the client has left. */
  readonly left: AbortSignal
  /** Also when this process is to stop. */
  readonly waiting: AbortSignal
}

interface CodedRequest extends ResultRequest {
  readonly gzip: boolean
}

/** What there is to send, and where it ends. */
interface Lines {
  readonly pieces: AsyncIterable<Buffer>
  /** Of the whole in NDJSON, if that is known. */
  readonly bytes?: number
  /** The cursor to go on with, where the job does. */
  readonly next?: number
}

/** The results of a job, in the order of its inputs, also while it is under way. */
export function resultRoutes(parts: ResultRoutesDeps): Router {
  const answers = new ResultAnswers(parts)
  const router = Router({ caseSensitive: true })
  router.get('/jobs/:id/results', async (req, res) => {
    const place = req.method === 'HEAD' ? undefined : parts.places.downloads.take(holderOf(res))
    try {
      await answers.answer(req, res)
    } finally {
      place?.release()
    }
  })
  return router
}

class ResultAnswers {
  readonly #deps: ResultRoutesDeps
  readonly #reader: ResultReader
  readonly #ranges: RangeReader
  readonly #maxStallMs: number

  constructor(parts: ResultRoutesDeps) {
    this.#deps = parts
    this.#reader = new ResultReader(parts.store, parts.changes)
    this.#ranges = new RangeReader(parts.store, this.#reader)
    this.#maxStallMs = parts.maxStallMs ?? 300_000
  }

  async answer(req: Request, res: Response): Promise<void> {
    const asked = resultRequestOf(req)
    const job = await jobAsked(this.#deps.store, req, res)
    if (asked.cursor > job.lines.total) {
      throw new ProxyError('bad_request', {
        message: `This job has ${job.lines.total} lines; the cursor is beyond them`,
      })
    }
    const left = leftSignal(res)
    const signals = { left, waiting: AbortSignal.any([left, this.#deps.streams]) }
    const range = rangeAsked(req, asked, tagOf(job, asked))
    const gzip = range === undefined && req.acceptsEncodings(['gzip', 'identity']) === 'gzip'
    const tag = tagOf(job, asked, gzip)
    if (tag !== undefined) res.set('ETag', tag)
    if (range) await this.#sendRange(res, job, asked, range, signals)
    else if (req.fresh) res.status(304).end()
    else await this.#sendLines(req, res, job, { ...asked, gzip }, signals)
  }

  async #sendLines(req: Request, res: Response, job: Job, asked: CodedRequest, signals: Signals): Promise<void> {
    const lines = await this.#linesFor(job, asked, signals)
    const { gzip } = asked
    describe(res, job, asked)
    if (gzip) res.set('Content-Encoding', 'gzip')
    else if (lines.bytes !== undefined) res.set('Content-Length', String(lines.bytes))
    if (lines.next !== undefined) setNext(req, res, asked, lines.next)
    if (req.method === 'HEAD') return void res.end()
    res.flushHeaders()
    const pieces = inFormat(asked.format, lines.pieces, {
      fields: job.fields,
      continues: asked.cursor > 0,
      forSpreadsheets: asked.forSpreadsheets,
    })
    await sendPieces(res, pieces, {
      gzip,
      prompt: asked.follows,
      left: signals.left,
      maxStallMs: this.#maxStallMs,
      ...(lines.next !== undefined && { trailers: { [nextCursorField]: String(lines.next) } }),
    })
  }

  async #linesFor(job: Job, { format, cursor, follows }: ResultRequest, { left, waiting }: Signals): Promise<Lines> {
    const places = await this.#deps.store.places(job.id)
    const isLive = !hasEnded(job)
    if (isLive && follows) {
      const { from, skip } = startAfterLines(places, cursor)
      return { pieces: withoutLines(this.#reader.followed(job, from, waiting), skip) }
    }
    const ready = readyChunks(job, places)
    const { from, skip } = startAfterLines(ready, cursor)
    const wanted = ready.slice(from)
    const indices = wanted.map(({ index }) => index)
    return {
      pieces: withoutLines(this.#reader.stored(job.id, indices, left), skip),
      ...(isLive && { next: Math.max(cursor, linesOf(ready)) }),
      ...(!isLive && format === 'ndjson' && skip === 0 && { bytes: bytesOf(wanted) }),
    }
  }

  async #sendRange(res: Response, job: Job, asked: ResultRequest, range: ByteRange, { left, waiting }: Signals) {
    const part = await this.#ranges.part(job, { range, left, waiting: asked.follows ? waiting : undefined })
    if (part.kind === 'nothing') return refuseRange(res, part.bytes)
    const { span, total, pieces } = part
    describe(res, job, asked)
    res.status(206).set({
      'Content-Range': `bytes ${span.first}-${span.last}/${total ?? '*'}`,
      'Content-Length': String(span.last - span.first + 1),
    })
    await sendPieces(res, pieces, { gzip: false, prompt: false, left, maxStallMs: this.#maxStallMs })
  }
}

/**
 * Of a job that has ended, and so stays as it is. What is coded is another representation, with a tag of its own (RFC
 * 9110 §8.8.3).
 */
function tagOf(job: Job, { format, forSpreadsheets }: ResultRequest, gzip = false): string | undefined {
  const form = forSpreadsheets ? `${format}-spreadsheet` : format
  return hasEnded(job) ? `"${job.id}-${form}${gzip ? '-gzip' : ''}"` : undefined
}

/** The bytes that a request wants and may have; undefined: it is to get all. Cursors count in other units. */
function rangeAsked({ method, headers }: Request, { format, cursor }: ResultRequest, tag: string | undefined) {
  if (method !== 'GET' || format !== 'ndjson' || cursor > 0) return undefined
  const condition = headers['if-range']
  // Only a tag proves that the client has the beginning of the same (RFC 9110 §13.1.5).
  return condition === undefined || condition === tag ? byteRangeIn(headers.range) : undefined
}

/** What is the same for all answers with results. */
function describe(res: Response, { id }: Job, { format, cursor }: ResultRequest): void {
  res.set({
    // RFC 4180 §3.
    'Content-Type': `${contentTypes[format]}${format === 'csv' ? `; header=${cursor > 0 ? 'absent' : 'present'}` : ''}`,
    'Content-Disposition': `attachment; filename="${id}.${format}"`,
    // It may be kept, by its owner alone, and be asked for again: it grows, and it goes.
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

/** By hand: of errors in general nobody is to take a Content-Range for that of an answer. */
function refuseRange(res: Response, bytes: number): void {
  const error = new ProxyError('range_not_satisfiable')
  res.removeHeader('ETag')
  res.status(error.status).set({ 'Content-Range': `bytes */${bytes}`, 'Cache-Control': 'no-store' })
  res.type('json').send(error.body())
}
