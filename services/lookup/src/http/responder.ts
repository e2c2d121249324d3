import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Clock, monotonicClock } from '@ipfleet/core/clock.ts'
import type { Origin } from '@ipfleet/cache/outcome.ts'
import type { ErrorCode, ProxyError } from '@ipfleet/core/proxy-error.ts'
import { asProxyError } from '@ipfleet/http-server/error-handler.ts'
import { traceOf } from '@ipfleet/telemetry/request-trace.ts'
import { answerHeaders, notModifiedHeaders } from './answer-headers.ts'
import type { Admission, ClientGuard } from '@ipfleet/rate-limit/clients/client-guard.ts'
import { exhaustedStatusFor, toldWith } from './exhausted-status.ts'
import { setItemFields } from './item-fields.ts'
import { callbackIn } from './jsonp.ts'
import { type Answered, BatchError, LookupError } from '../lookup/answered.ts'
import { isUnchanged, representationFor } from './representation.ts'
import type { RequestRecord, RouteClass } from '../operations/request-record.ts'

/** Refused for what the client sent; nothing was looked up. */
const refusals: ReadonlySet<ErrorCode> = new Set([
  'bad_request',
  'wrong_ip',
  'wrong_product_ip',
  'not_found',
  'method_not_allowed',
  'payload_too_large',
  'unsupported_media_type',
  'request_timeout',
  'client_left',
  'uri_too_long',
  'token_missing',
  'unknown_token',
  'rate_limited',
  'client_share',
  'not_cached',
])

export interface ResponderDeps {
  readonly record: RequestRecord
  /** Undefined: every client may ask. */
  readonly clients?: ClientGuard | undefined
  /** What a look-up is answered that no key may ask now. */
  readonly exhaustedStatus: number
  readonly clock?: Clock
}

/** Admits requests, writes answers of the use case, and counts and traces how each request ended. */
export class Responder {
  readonly #record: RequestRecord
  readonly #clients: ClientGuard | undefined
  readonly #exhaustedStatus: number
  readonly #clock: Clock

  constructor({ record, clients, exhaustedStatus, clock = monotonicClock }: ResponderDeps) {
    this.#record = record
    this.#clients = clients
    this.#exhaustedStatus = exhaustedStatus
    this.#clock = clock
  }

  /** Sends what `find` brings. What it throws is counted, marked with Cache-Status and thrown on. */
  async respond(route: RouteClass, req: IncomingMessage, res: ServerResponse, find: () => Promise<Answered>) {
    const startedMs = this.#clock.nowMs()
    try {
      // Who may not ask learns nothing about the query.
      const admission = await this.#clients?.admit(req, res)
      const callback = req.method === 'POST' ? undefined : callbackIn(req.url ?? '')
      const answered = await this.#findFor(admission, res, find)
      await this.#send(route, req, res, answered, callback, startedMs)
    } catch (thrown) {
      throw toldWith(exhaustedStatusFor(req, this.#exhaustedStatus), this.#failed(route, res, thrown, startedMs))
    }
  }

  /** What was asked upstream counts for the client, whatever came of it. */
  async #findFor(admission: Admission | undefined, res: ServerResponse, find: () => Promise<Answered>) {
    if (admission === undefined) return find()
    try {
      const answered = await find()
      this.#clients?.settle(res, admission, unitsOf(answered))
      return answered
    } catch (thrown) {
      if (thrown instanceof Error) this.#clients?.settle(res, admission, unitsOf(failedWith(thrown)))
      throw thrown
    }
  }

  async #send(
    route: RouteClass,
    req: IncomingMessage,
    res: ServerResponse,
    answered: Answered,
    callback: string | undefined,
    startedMs: number,
  ): Promise<void> {
    const { source, entry, origin } = answered
    const form = representationFor(req, entry, callback)
    const isHeld = isUnchanged(req, form.tag)
    const body = isHeld ? undefined : await form.body()
    const nowMs = this.#clock.nowMs()
    const { status, contentType } = form.answer
    Object.assign(traceOf(res), { cache: source, ...origin })
    this.#tellItems(res, answered)
    this.#record.add(route, isHeld ? 304 : status, source, nowMs - startedMs)
    if (body === undefined) res.writeHead(304, notModifiedHeaders(entry, source, nowMs, form))
    else res.writeHead(status, answerHeaders(entry, source, nowMs, { ...form, contentType, length: body.length }))
    // Node leaves the body out when the method was HEAD.
    res.end(body)
  }

  /** Of a batch: what became of its items, to the client, the log and the metrics. */
  #tellItems(res: ServerResponse, told: ToldItems): void {
    if (told.items === undefined) return
    if (told.retryAfterSeconds !== undefined) res.setHeader('Retry-After', String(told.retryAfterSeconds))
    setItemFields(res, told)
    Object.assign(traceOf(res), { items: told.items })
    this.#record.addItems(told.items)
  }

  #failed(route: RouteClass, res: ServerResponse, thrown: unknown, startedMs: number): ProxyError {
    const error = asProxyError(thrown)
    const end = refusals.has(error.code) ? 'refused' : 'error'
    if (error.code === 'keys_exhausted') this.#record.keysExhausted += 1
    Object.assign(traceOf(res), { cache: end, ...originOf(error) })
    if (error instanceof BatchError) this.#tellItems(res, error)
    this.#record.add(route, error.status, end, this.#clock.nowMs() - startedMs)
    const forwarded = end === 'error' ? ' fwd=miss;' : ''
    res.setHeader('Cache-Status', `ipfleet;${forwarded} detail=${error.code}`)
    return error
  }
}

/** Of a failure as a whole, Retry-After is told with the error. */
type ToldItems = Pick<Answered, 'items' | 'units'> & { readonly retryAfterSeconds?: number | undefined }

/** A look-up that failed knows with what it was tried. */
function originOf(error: Error): Origin | undefined {
  return error instanceof LookupError ? error.origin : undefined
}

function failedWith(error: Error): Pick<Answered, 'units' | 'origin'> {
  if (error instanceof BatchError) return { units: error.units }
  const origin = originOf(error)
  return origin === undefined ? {} : { origin }
}

/** Upstream units that a request has caused: one if it asked, more if it says so (a batch). */
function unitsOf({ units, origin }: Pick<Answered, 'units' | 'origin'>): number {
  return units ?? (origin === undefined ? 0 : 1)
}
