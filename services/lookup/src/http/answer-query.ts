import type { IncomingMessage } from 'node:http'
import { monotonicClock } from '@ipfleet/core/clock.ts'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { asProxyError } from '@ipfleet/http-server/error-handler.ts'
import { currentRequest, REQUEST_ID } from '@ipfleet/http-server/request-id.ts'
import type { ResponseWriter } from '@ipfleet/http-server/response-writer.ts'
import { canonicalAddress } from '@ipfleet/net/canonical-address.ts'
import type { Admission, ClientGuard } from '@ipfleet/rate-limit/clients/client-guard.ts'
import { traceOf } from '@ipfleet/telemetry/request-trace.ts'
import { type AnswerEnd, type Answered, BatchError, LookupError, unitsOf } from '../lookup/answered.ts'
import type { Lookup } from '../lookup/lookup.ts'
import type { RequestRecord, RouteClass } from '../operations/request-record.ts'
import { parseTarget } from '../query/query.ts'
import { answerHeaders, notModifiedHeaders } from './answer-headers.ts'
import { cacheDirectives } from './cache-directives.ts'
import { exhaustedStatusFor, toldWith } from './exhausted-status.ts'
import { setItemFields } from './item-fields.ts'
import { callbackIn } from './jsonp.ts'
import { isBackground } from './live-reserve.ts'
import { isUnchanged, representationFor } from './representation.ts'

export interface QueryDeps {
  readonly lookup: Lookup
  readonly record: RequestRecord
  /** Undefined: every client may ask. */
  readonly clients: ClientGuard | undefined
  readonly clientAddress: (req: IncomingMessage) => string
  /** What a look-up is answered that no key may ask now. */
  readonly exhaustedStatus: number
}

const accountPath = /^\/me(?:\?|$)/

/** A query by GET or HEAD. Rejects with what is to be answered instead. */
export type AnswerQuery = (req: IncomingMessage, res: ResponseWriter) => Promise<void>

/** Translates HTTP to the use case and back, for a query that needs no body. */
export function queryAnswerer(deps: QueryDeps): AnswerQuery {
  const { lookup, clientAddress } = deps
  return (req, res) => {
    const { url = '' } = req
    const route = accountPath.test(url) ? 'account' : 'lookup'
    return respond(deps, route, req, res, async () => {
      const parsed = parseTarget(url)
      const directives = cacheDirectives(req.headers['cache-control'])
      if (parsed.kind === 'direct') {
        if (directives.onlyIfCached) throw new ProxyError('not_cached')
        return lookup.direct({ method: 'GET', surface: 'legacy', path: parsed.path, expected: parsed.expected })
      }
      const query = parsed.kind === 'own' ? parsed.about(ownAddress(clientAddress(req))) : parsed.query
      return lookup.answer(query, directives)
    })
  }
}

/** `/` is the record of the calling client. */
export function ownAddress(client: string): string {
  const address = canonicalAddress(client)
  if (address !== undefined) return address
  throw new ProxyError('bad_request', { message: 'The address of this client is not known' })
}

/** To be called by a POST, before upstream is asked, with what that may cost. Rejects when the client has not that much left. */
export type Reserve = (maxUnits: number) => Promise<void>

/** Admits the request, sends what `find` brings, and counts and traces how it ended. What is thrown is thrown on. */
export async function respond(
  deps: QueryDeps,
  route: RouteClass,
  req: IncomingMessage,
  res: ResponseWriter,
  find: (reserve: Reserve) => Promise<Answered>,
): Promise<void> {
  const startedMs = monotonicClock.nowMs()
  try {
    // A client that may not ask learns nothing about the query.
    const admission = await deps.clients?.admit(req, res)
    let callback: string | undefined
    const answered = await findFor(deps, admission, res, (reserve) => {
      if (req.method !== 'POST') callback = callbackIn(req.url ?? '')
      return find(reserve)
    })
    await send(deps, route, req, res, { answered, callback, startedMs })
  } catch (thrown) {
    const error = asProxyError(thrown)
    const told = toldWith(exhaustedStatusFor(req, deps.exhaustedStatus), error)
    const end = deps.record.addFailed(route, told, monotonicClock.nowMs() - startedMs)
    tellFailure(deps.record, req, res, error, end)
    throw told
  }
}

/** What was asked upstream counts for the client, whatever came of it. */
async function findFor(
  { clients }: QueryDeps,
  admission: Admission | undefined,
  res: ResponseWriter,
  find: (reserve: Reserve) => Promise<Answered>,
): Promise<Answered> {
  if (clients === undefined || admission === undefined) return find(async () => {})
  try {
    const answered = await find((maxUnits) => clients.reserve(res, admission, maxUnits))
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
  { record }: QueryDeps,
  route: RouteClass,
  req: IncomingMessage,
  res: ResponseWriter,
  { answered, callback, startedMs }: Sending,
): Promise<void> {
  const { source, entry, origin } = answered
  const form = representationFor(req, entry, callback)
  const isHeld = isUnchanged(req, form.tag)
  const body = isHeld ? undefined : await form.body()
  const nowMs = monotonicClock.nowMs()
  const { status, contentType } = form.head
  Object.assign(traceOf(res), { cache: source, ...origin })
  tellItems(record, req, res, answered)
  record.add(route, isHeld ? 304 : status, source, nowMs - startedMs)
  const fields =
    body === undefined
      ? notModifiedHeaders(entry, source, nowMs, form)
      : answerHeaders(entry, source, nowMs, { ...form, contentType, length: body.length })
  // Of a query that is asked often (`beginHot`).
  if (!res.hasHeader(REQUEST_ID)) fields.push(REQUEST_ID, currentRequest()?.id ?? '')
  res.writeHead(body === undefined ? 304 : status, fields)
  // Node leaves the body out when the method was HEAD.
  res.end(body, 'latin1')
}

/** Of a failure as a whole, Retry-After is told with the error. */
type ToldItems = Pick<Answered, 'items' | 'units'> & { readonly retryAfterSeconds?: number | undefined }

/** Of a batch: what became of its items, to the client, the log and the metrics. */
function tellItems(record: RequestRecord, req: IncomingMessage, res: ResponseWriter, told: ToldItems): void {
  if (told.items === undefined) return
  if (told.retryAfterSeconds !== undefined) res.setHeader('Retry-After', String(told.retryAfterSeconds))
  setItemFields(res, told)
  Object.assign(traceOf(res), { items: told.items })
  record.addItems(told.items, isBackground(req) ? 'background' : 'client')
}

function tellFailure(
  record: RequestRecord,
  req: IncomingMessage,
  res: ResponseWriter,
  error: ProxyError,
  end: AnswerEnd,
): void {
  // A look-up that failed knows with what it was tried.
  Object.assign(traceOf(res), { cache: end, ...(error instanceof LookupError && error.origin) })
  if (error instanceof BatchError) tellItems(record, req, res, error)
  res.setHeader('Cache-Status', `ipfleet;${forwarding(error)} detail=${error.code}`)
}

/** RFC 9211 §2.2: only of what has gone to upstream. */
function forwarding(error: ProxyError): string {
  const wasAsked = error instanceof LookupError && error.wasAsked
  if (!wasAsked && !(error instanceof BatchError && error.units > 0)) return ''
  if (error.source === 'bypass') return ' fwd=bypass;'
  return error.source === 'collapsed' ? ' fwd=miss; collapsed;' : ' fwd=miss;'
}
