import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Clock, monotonicClock } from '@ipfleet/clock/clock.ts'
import type { ErrorCode } from '@ipfleet/errors/proxy-error.ts'
import { asProxyError } from '@ipfleet/http/error-handler.ts'
import { traceOf } from '@ipfleet/telemetry/request-trace.ts'
import { answerHeaders } from './answer-headers.ts'
import { type Answered, LookupError } from './lookup.ts'
import type { RequestRecord, RouteClass } from './request-record.ts'

/** Refused for what the client sent; nothing was looked up. */
const refusals: ReadonlySet<ErrorCode> = new Set([
  'bad_request',
  'wrong_ip',
  'wrong_product_ip',
  'not_found',
  'method_not_allowed',
  'payload_too_large',
  'uri_too_long',
])

/** Writes answers of the use case, and counts and traces how each request ended. */
export class Responder {
  readonly #record: RequestRecord
  readonly #clock: Clock

  constructor(record: RequestRecord, clock: Clock = monotonicClock) {
    this.#record = record
    this.#clock = clock
  }

  /** Sends what `find` brings. What it throws is counted, marked with Cache-Status and thrown on. */
  async respond(route: RouteClass, _req: IncomingMessage, res: ServerResponse, find: () => Promise<Answered>) {
    const startedMs = this.#clock.nowMs()
    try {
      this.#send(route, res, await find(), startedMs)
    } catch (thrown) {
      throw this.#failed(route, res, thrown, startedMs)
    }
  }

  #send(route: RouteClass, res: ServerResponse, { source, entry, origin }: Answered, startedMs: number): void {
    const nowMs = this.#clock.nowMs()
    const { status, body } = entry.answer
    Object.assign(traceOf(res), { cache: source, ...origin })
    this.#record.add(route, status, source, nowMs - startedMs)
    res.writeHead(status, answerHeaders(entry, source, nowMs))
    // Node leaves the body out when the method was HEAD.
    res.end(body)
  }

  #failed(route: RouteClass, res: ServerResponse, thrown: unknown, startedMs: number): Error {
    const error = asProxyError(thrown)
    const end = refusals.has(error.code) ? 'refused' : 'error'
    if (error.code === 'keys_exhausted') this.#record.keysExhausted += 1
    Object.assign(traceOf(res), { cache: end, ...originOf(error) })
    this.#record.add(route, error.status, end, this.#clock.nowMs() - startedMs)
    const forwarded = end === 'error' ? ' fwd=miss;' : ''
    res.setHeader('Cache-Status', `ipfleet;${forwarded} detail=${error.code}`)
    return error
  }
}

/** A look-up that failed knows with what it was tried. */
function originOf(error: Error): object | undefined {
  return error instanceof LookupError ? error.origin : undefined
}
