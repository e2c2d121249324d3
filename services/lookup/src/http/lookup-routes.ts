import type { IncomingMessage } from 'node:http'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { type Request, type Response, Router } from 'express'
import type { Answered } from '../lookup/answered.ts'
import type { ReportStore } from '../lookup/report-store.ts'
import { summarize, summedAnswer } from '../lookup/summary-answer.ts'
import type { LiveRate } from '../operations/live-rate.ts'
import { batchForm, batchItems } from '../query/batch-items.ts'
import { toolTarget } from '../query/query.ts'
import { type AnswerQuery, ownAddress, type QueryDeps, type Reserve, respond } from './answer-query.ts'
import { BatchSlots } from './batch-slots.ts'
import { cacheDirectives } from './cache-directives.ts'
import { exhaustedStatusFor } from './exhausted-status.ts'
import { isBackground, liveReserve } from './live-reserve.ts'
import type { RequestBodies } from './request-bodies.ts'

export interface LookupRoutesDeps extends QueryDeps {
  readonly liveRate: LiveRate
  readonly bodies: RequestBodies
  /** Where this fleet keeps reports of lists, which it sums up by its own records; undefined: upstream's tools do that. */
  readonly reports: ReportStore | undefined
  /** By which a client reached the fleet (`requestOrigin`). */
  readonly originOf: (req: IncomingMessage) => string
}

const maxBatchBytes = 1024 * 1024
/** IPinfo's SDKs send up to 500,000 addresses to `/tools/map`. */
export const maxToolBytes = 10 * 1024 * 1024
const methods = 'GET, HEAD, POST, OPTIONS'
/** Those that are read here, and that a page may not send unasked. */
const requestFields =
  'Authorization, Content-Type, Cache-Control, If-None-Match, Ipfleet-Live-Reserve, X-Request-Id, Traceparent, Tracestate'
/** POST paths that upstream has besides /batch; anything else is asked with GET. */
const postPaths = /^\/(batch|tools|summarize|map)(\/|&|\?|$)/

const summaryPath = /^\/(?:tools\/)?summarize(?:-ips)?(?:\/|&|\?|$)/
const mapPath = /^\/(?:tools\/)?map(?:\/|&|\?|$)/
const batchPath = /^\/batch(\/|&|\?|$)/

/** The surface that clients know from IPinfo. Everything here translates HTTP to the use case and back. */
export function lookupRoutes(deps: LookupRoutesDeps, get: AnswerQuery): Router {
  const slots = new BatchSlots()
  const post = (req: Request, res: Response): Promise<void> =>
    respond(deps, 'batch', req, res, (reserve) =>
      (batchPath.test(req.url) ? batchAnswer : toolAnswer)({ ...deps, slots, reserve }, req, res),
    )

  const router = Router({ caseSensitive: true })
  router.use(async (req, res) => {
    if (req.method === 'GET' || req.method === 'HEAD') return get(req, res)
    if (req.method === 'OPTIONS') return preflight(res)
    if (req.method !== 'POST' || !postPaths.test(req.url)) {
      res.setHeader('Allow', postPaths.test(req.url) ? methods : 'GET, HEAD, OPTIONS')
      throw new ProxyError('method_not_allowed')
    }
    return post(req, res)
  })
  return router
}

/** What answers one POST. */
interface PostDeps extends LookupRoutesDeps {
  readonly slots: BatchSlots
  readonly reserve: Reserve
}

async function batchAnswer(deps: PostDeps, req: Request, res: Response): Promise<Answered> {
  const { lookup, clientAddress, liveRate, bodies, slots, reserve } = deps
  const client = clientAddress(req)
  const terms = { ...batchForm(req.url, req.headers.host), ...batchTerms(deps, req, client) }
  if (terms.isBackground) res.setHeader('Ipfleet-Live-Rate', liveRate.perSecond().toFixed(1))
  // Here, and not in a middleware: a client that may not ask has nothing of it read.
  const body = await bodies.read(req, res, { maxBytes: maxBatchBytes, client })
  await slots.take(client, res)
  // Not before: many lists that wait for their turn would take several times the memory.
  const items = batchItems(body)
  await reserve(items.length)
  const answered = await lookup.answerMany({ ...terms, items })
  slots.answering(res)
  return answered
}

function batchTerms(deps: LookupRoutesDeps, req: Request, client: string) {
  return {
    directives: cacheDirectives(req.headers['cache-control']),
    reserveShare: liveReserve(req),
    isBackground: isBackground(req),
    exhaustedStatus: exhaustedStatusFor(req, deps.exhaustedStatus),
    ownAddress: () => ownAddress(client),
  }
}

async function toolAnswer(deps: PostDeps, req: Request, res: Response): Promise<Answered> {
  const { lookup, clientAddress, bodies, reports, reserve } = deps
  if (reports && (summaryPath.test(req.url) || mapPath.test(req.url))) return localToolAnswer(deps, reports, req, res)
  const path = toolTarget(req.url)
  if (cacheDirectives(req.headers['cache-control']).onlyIfCached) throw new ProxyError('not_cached')
  const bytes = await bodies.read(req, res, { maxBytes: maxToolBytes, client: clientAddress(req) })
  const contentType = req.headers['content-type'] ?? 'text/plain'
  await reserve(1)
  return lookup.direct({ method: 'POST', surface: 'legacy', path, body: { bytes, contentType }, expected: 'any' })
}

async function localToolAnswer(deps: PostDeps, reports: ReportStore, req: Request, res: Response): Promise<Answered> {
  const { slots, reserve } = deps
  const client = deps.clientAddress(req)
  const body = await deps.bodies.read(req, res, { maxBytes: maxToolBytes, client })
  await slots.take(client, res)
  const form = { prefix: '', dropsEmpty: false, hasLeft: () => res.destroyed, reserve }
  const summed = await summarize(deps.lookup, body.toString(), { ...form, ...batchTerms(deps, req, client) })
  slots.answering(res)
  if (!mapPath.test(req.url)) return summedAnswer(summed, summed.summary)
  const reportUrl = `${deps.originOf(req)}/tools/map/${await reports.keep(summed.summary)}`
  return summedAnswer(summed, { status: 'Report Generated', reportUrl })
}

/** Browsers ask before they POST from elsewhere; IPinfo allows every origin. */
function preflight(res: Response): void {
  res.set({
    'Access-Control-Allow-Origin': '*',
    'Access-Control-Allow-Methods': methods,
    'Access-Control-Allow-Headers': requestFields,
    'Access-Control-Max-Age': '86400',
  })
  res.status(204).end()
}
