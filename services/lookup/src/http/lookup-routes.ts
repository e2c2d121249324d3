import type { IncomingMessage } from 'node:http'
import type { Origin } from '@ipfleet/cache/outcome.ts'
import { monotonicClock } from '@ipfleet/core/clock.ts'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { asProxyError } from '@ipfleet/http-server/error-handler.ts'
import type { Admission, ClientGuard } from '@ipfleet/rate-limit/clients/client-guard.ts'
import { traceOf } from '@ipfleet/telemetry/request-trace.ts'
import { type Request, type Response, Router } from 'express'
import { batchForm, batchItems } from '../query/batch-items.ts'
import { BatchSlots } from './batch-slots.ts'
import type { LiveRate } from '../operations/live-rate.ts'
import { type Answered, BatchError, endOf, LookupError } from '../lookup/answered.ts'
import type { Lookup } from '../lookup/lookup.ts'
import { summarize } from '../lookup/summary-answer.ts'
import { canonicalAddress } from '@ipfleet/net/canonical-address.ts'
import { parseTarget, toolTarget } from '../query/query.ts'
import { answerHeaders, notModifiedHeaders } from './answer-headers.ts'
import { cacheDirectives } from './cache-directives.ts'
import { exhaustedStatusFor, toldWith } from './exhausted-status.ts'
import { setItemFields } from './item-fields.ts'
import { callbackIn } from './jsonp.ts'
import { isBackground, liveReserve } from './live-reserve.ts'
import { isUnchanged, representationFor } from './representation.ts'
import type { RequestBodies } from './request-bodies.ts'
import type { RequestRecord, RouteClass } from '../operations/request-record.ts'

export interface LookupRoutesDeps {
  readonly lookup: Lookup
  readonly record: RequestRecord
  /** Undefined: every client may ask. */
  readonly clients: ClientGuard | undefined
  readonly clientAddress: (req: IncomingMessage) => string
  readonly liveRate: LiveRate
  readonly bodies: RequestBodies
  /** What a look-up is answered that no key may ask now. */
  readonly exhaustedStatus: number
  /** Who sums lists up: this fleet, of its own records, or upstream, whose tools have five uses a day. */
  readonly tools: 'local' | 'upstream'
}

const maxBatchBytes = 1024 * 1024
/** IPinfo's SDKs send up to 500,000 addresses to `/tools/map`. */
export const maxToolBytes = 10 * 1024 * 1024
const methods = 'GET, HEAD, POST, OPTIONS'
/** POST paths that upstream has besides /batch; anything else is asked with GET. */
const postPaths = /^\/(batch|tools|summarize|map)(\/|&|\?|$)/

const summaryPath = /^\/(?:tools\/)?summarize(?:-ips)?(?:\/|&|\?|$)/
const batchPath = /^\/batch(\/|&|\?|$)/

/** The surface that clients know from IPinfo. Everything here translates HTTP to the use case and back. */
export function lookupRoutes(deps: LookupRoutesDeps): Router {
  const { lookup, clientAddress } = deps
  const slots = new BatchSlots()
  const get = async (req: Request, res: Response): Promise<void> => {
    const route = req.path === '/me' ? 'account' : 'lookup'
    await respond(deps, route, req, res, async () => {
      const parsed = parseTarget(req.url)
      const directives = cacheDirectives(req.headers['cache-control'])
      if (parsed.kind === 'direct') {
        if (directives.onlyIfCached) throw new ProxyError('not_cached')
        return lookup.direct({ method: 'GET', surface: 'legacy', path: parsed.path, expected: parsed.expected })
      }
      const query = parsed.kind === 'own' ? parsed.about(ownAddress(clientAddress(req))) : parsed.query
      return lookup.answer(query, directives)
    })
  }

  const post = (req: Request, res: Response): Promise<void> =>
    respond(deps, 'batch', req, res, () =>
      batchPath.test(req.url) ? batchAnswer(deps, slots, req, res) : toolAnswer(deps, slots, req, res),
    )

  const router = Router({ caseSensitive: true })
  router.use(async (req, res) => {
    if (req.method === 'GET' || req.method === 'HEAD') return get(req, res)
    if (req.method === 'OPTIONS') return preflight(res)
    if (req.method !== 'POST' || !postPaths.test(req.url)) {
      res.setHeader('Allow', methods)
      throw new ProxyError('method_not_allowed')
    }
    return post(req, res)
  })
  return router
}

async function batchAnswer(deps: LookupRoutesDeps, slots: BatchSlots, req: Request, res: Response): Promise<Answered> {
  const { lookup, clientAddress, liveRate, bodies } = deps
  const client = clientAddress(req)
  const terms = { ...batchForm(req.url, req.headers.host), ...batchTerms(deps, req, client) }
  if (terms.isBackground) res.setHeader('Ipfleet-Live-Rate', liveRate.perSecond().toFixed(1))
  // Here, and not in a middleware: a client that may not ask has nothing of it read.
  const body = await bodies.read(req, res, { maxBytes: maxBatchBytes, client })
  await slots.take(client, res)
  // Not before: many lists that wait for their turn would take several times the memory.
  const items = batchItems(body)
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

async function toolAnswer(deps: LookupRoutesDeps, slots: BatchSlots, req: Request, res: Response): Promise<Answered> {
  const { lookup, clientAddress, bodies, tools } = deps
  if (tools === 'local' && summaryPath.test(req.url)) return summaryAnswer(deps, slots, req, res)
  const path = toolTarget(req.url)
  if (cacheDirectives(req.headers['cache-control']).onlyIfCached) throw new ProxyError('not_cached')
  const bytes = await bodies.read(req, res, { maxBytes: maxToolBytes, client: clientAddress(req) })
  const contentType = req.headers['content-type'] ?? 'text/plain'
  return lookup.direct({ method: 'POST', surface: 'legacy', path, body: { bytes, contentType }, expected: 'any' })
}

async function summaryAnswer(
  deps: LookupRoutesDeps,
  slots: BatchSlots,
  req: Request,
  res: Response,
): Promise<Answered> {
  const client = deps.clientAddress(req)
  const body = await deps.bodies.read(req, res, { maxBytes: maxToolBytes, client })
  await slots.take(client, res)
  const form = { prefix: '', dropsEmpty: false, hasLeft: () => res.destroyed }
  const answered = await summarize(deps.lookup, body.toString(), { ...form, ...batchTerms(deps, req, client) })
  slots.answering(res)
  return answered
}

/** `/` is the record of the calling client. */
function ownAddress(client: string): string {
  const address = canonicalAddress(client)
  if (address !== undefined) return address
  throw new ProxyError('bad_request', { message: 'The address of this client is not known' })
}

/** Browsers ask before they POST from elsewhere; IPinfo allows every origin. */
function preflight(res: Response): void {
  res.set({
    'Access-Control-Allow-Origin': '*',
    'Access-Control-Allow-Methods': methods,
    'Access-Control-Allow-Headers': 'Authorization, Content-Type, Cache-Control, If-None-Match, Ipfleet-Live-Reserve',
    'Access-Control-Max-Age': '86400',
  })
  res.status(204).end()
}

/** Admits the request, sends what `find` brings, and counts and traces how it ended. What is thrown is thrown on. */
async function respond(
  deps: LookupRoutesDeps,
  route: RouteClass,
  req: Request,
  res: Response,
  find: () => Promise<Answered>,
): Promise<void> {
  const startedMs = monotonicClock.nowMs()
  try {
    // A client that may not ask learns nothing about the query.
    const admission = await deps.clients?.admit(req, res)
    const callback = req.method === 'POST' ? undefined : callbackIn(req.url)
    const answered = await findFor(deps, admission, res, find)
    await send(deps, route, req, res, { answered, callback, startedMs })
  } catch (thrown) {
    throw toldWith(exhaustedStatusFor(req, deps.exhaustedStatus), failed(deps, route, res, thrown, startedMs))
  }
}

/** What was asked upstream counts for the client, whatever came of it. */
async function findFor(
  { clients }: LookupRoutesDeps,
  admission: Admission | undefined,
  res: Response,
  find: () => Promise<Answered>,
): Promise<Answered> {
  if (clients === undefined || admission === undefined) return find()
  try {
    const answered = await find()
    clients.settle(res, admission, unitsOf(answered))
    return answered
  } catch (thrown) {
    clients.settle(res, admission, thrown instanceof LookupError ? unitsOf(thrown) : 0)
    throw thrown
  }
}

interface Sending {
  readonly answered: Answered
  /** Of JSONP. */
  readonly callback: string | undefined
  readonly startedMs: number
}

async function send(
  { record }: LookupRoutesDeps,
  route: RouteClass,
  req: Request,
  res: Response,
  { answered, callback, startedMs }: Sending,
): Promise<void> {
  const { source, entry, origin } = answered
  const form = representationFor(req, entry, callback)
  const isHeld = isUnchanged(req, form.tag)
  const body = isHeld ? undefined : await form.body()
  const nowMs = monotonicClock.nowMs()
  const { status, contentType } = form.answer
  Object.assign(traceOf(res), { cache: source, ...origin })
  tellItems(record, res, answered)
  record.add(route, isHeld ? 304 : status, source, nowMs - startedMs)
  if (body === undefined) res.writeHead(304, notModifiedHeaders(entry, source, nowMs, form))
  else res.writeHead(status, answerHeaders(entry, source, nowMs, { ...form, contentType, length: body.length }))
  // Node leaves the body out when the method was HEAD.
  res.end(body)
}

/** Of a failure as a whole, Retry-After is told with the error. */
type ToldItems = Pick<Answered, 'items' | 'units'> & { readonly retryAfterSeconds?: number | undefined }

/** Of a batch: what became of its items, to the client, the log and the metrics. */
function tellItems(record: RequestRecord, res: Response, told: ToldItems): void {
  if (told.items === undefined) return
  if (told.retryAfterSeconds !== undefined) res.setHeader('Retry-After', String(told.retryAfterSeconds))
  setItemFields(res, told)
  Object.assign(traceOf(res), { items: told.items })
  record.addItems(told.items)
}

function failed(
  { record }: LookupRoutesDeps,
  route: RouteClass,
  res: Response,
  thrown: unknown,
  startedMs: number,
): ProxyError {
  const error = asProxyError(thrown)
  const end = endOf(error)
  if (error.code === 'keys_exhausted') record.keysExhausted += 1
  // A look-up that failed knows with what it was tried.
  Object.assign(traceOf(res), { cache: end, ...(error instanceof LookupError && error.origin) })
  if (error instanceof BatchError) tellItems(record, res, error)
  record.add(route, error.status, end, monotonicClock.nowMs() - startedMs)
  const forwarded = end === 'error' ? ' fwd=miss;' : ''
  res.setHeader('Cache-Status', `ipfleet;${forwarded} detail=${error.code}`)
  return error
}

/** Upstream units that a request has caused: one if it asked, more if it says so (a batch). */
function unitsOf({ units, origin }: { readonly units?: number; readonly origin?: Origin | undefined }): number {
  return units ?? (origin === undefined ? 0 : 1)
}
