import type { IncomingMessage } from 'node:http'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { type Request, type Response, Router } from 'express'
import { batchForm } from '../query/batch-item.ts'
import { batchItems } from '../query/batch-items.ts'
import { BatchSlots } from './batch-slots.ts'
import type { LiveRate } from '../operations/live-rate.ts'
import type { Answered } from '../lookup/answered.ts'
import { answerMany } from '../lookup/batch-answer.ts'
import type { Lookup } from '../lookup/lookup.ts'
import { canonicalAddress } from '@ipfleet/net/canonical-address.ts'
import { parseTarget, toolTarget } from '../query/query.ts'
import { cacheDirectives } from './cache-directives.ts'
import { exhaustedStatusFor } from './exhausted-status.ts'
import { isBackground, liveReserve } from './live-reserve.ts'
import type { RequestBodies } from './request-bodies.ts'
import type { Responder } from './responder.ts'

export interface LookupRoutesDeps {
  readonly lookup: Lookup
  readonly responder: Responder
  readonly clientAddress: (req: IncomingMessage) => string
  readonly liveRate: LiveRate
  readonly bodies: RequestBodies
  /** What a look-up is answered that no key may ask now. */
  readonly exhaustedStatus: number
}

const maxBatchBytes = 1024 * 1024
/** IPinfo's SDKs send up to 500,000 addresses to `/tools/map`. */
export const maxToolBytes = 10 * 1024 * 1024
const methods = 'GET, HEAD, POST, OPTIONS'
/** POST paths that upstream has besides /batch; anything else is asked with GET. */
const postPaths = /^\/(batch|tools|summarize|map)(\/|&|\?|$)/

const batchPath = /^\/batch(\/|&|\?|$)/

/** The surface that clients know from IPinfo. Everything here translates HTTP to the use case and back. */
export function lookupRoutes(deps: LookupRoutesDeps): Router {
  const { lookup, responder, clientAddress } = deps
  const slots = new BatchSlots()
  const get = async (req: Request, res: Response): Promise<void> => {
    const route = req.path === '/me' ? 'account' : 'lookup'
    await responder.respond(route, req, res, async () => {
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
    responder.respond('batch', req, res, () =>
      batchPath.test(req.url) ? batchAnswer(deps, slots, req, res) : toolAnswer(deps, req, res),
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
  const terms = {
    ...batchForm(req.url, req.headers.host),
    directives: cacheDirectives(req.headers['cache-control']),
    reserveShare: liveReserve(req),
    isBackground: isBackground(req),
    exhaustedStatus: exhaustedStatusFor(req, deps.exhaustedStatus),
    ownAddress: () => ownAddress(client),
  }
  if (terms.isBackground) res.setHeader('Ipfleet-Live-Rate', liveRate.perSecond().toFixed(1))
  // Here, and not in a middleware: a client that may not ask has nothing of it read.
  const body = await bodies.read(req, res, { maxBytes: maxBatchBytes, client })
  await slots.take(client, res)
  // Not before: many lists that wait for their turn would take several times the memory.
  const items = batchItems(body)
  const answered = await answerMany(lookup, { ...terms, items })
  slots.answering(res)
  return answered
}

async function toolAnswer(deps: LookupRoutesDeps, req: Request, res: Response): Promise<Answered> {
  const { lookup, clientAddress, bodies } = deps
  const path = toolTarget(req.url)
  if (cacheDirectives(req.headers['cache-control']).onlyIfCached) throw new ProxyError('not_cached')
  const bytes = await bodies.read(req, res, { maxBytes: maxToolBytes, client: clientAddress(req) })
  const contentType = req.headers['content-type'] ?? 'text/plain'
  return lookup.direct({ method: 'POST', surface: 'legacy', path, body: { bytes, contentType }, expected: 'any' })
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
