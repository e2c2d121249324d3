import type { IncomingMessage, ServerResponse } from 'node:http'
import { CLIENT_CLOSED_REQUEST, type ProxyError } from '@ipfleet/core/proxy-error.ts'
import { parseTraceparent, type TraceContext } from '@ipfleet/core/trace-context.ts'
import type { ConnectionRefusal } from '@ipfleet/http-server/harden-server.ts'
import { REQUEST_ID, requestIdOf, type RequestScope } from '@ipfleet/http-server/request-id.ts'
import { type AccessEntry, accessJson, accessLevel, accessText } from './access-line.ts'
import { failureOf } from './failure-fields.ts'
import type { Logger } from './logger.ts'
import { traceOf } from './request-trace.ts'
import { levelTag } from './text-line.ts'
import { beginServerSpan, endServerSpan, type SpanEnd, type SpanRequest } from './tracing/http-spans.ts'
import { noTracer, type Tracer } from './tracing/tracer.ts'

export interface AccessLogOptions {
  readonly logger: Logger
  /** Adds the client's address to each line. */
  readonly clientOf?: (req: IncomingMessage) => string
  /** Default: nothing is traced. */
  readonly tracer?: Tracer
}

/** The access log: one line a request, of one shape, in whichever way the request was answered. */
export class AccessLog {
  readonly #logger: Logger
  readonly #clientOf: AccessLogOptions['clientOf']
  readonly #tracer: Tracer
  readonly #tags: Readonly<Record<ReturnType<typeof accessLevel>, string>>

  constructor({ logger, clientOf, tracer = noTracer }: AccessLogOptions) {
    this.#logger = logger
    this.#tracer = tracer
    this.#clientOf = clientOf
    const tag = (level: string): string => levelTag(level, logger.sink.colour)
    this.#tags = { debug: tag('debug'), info: tag('info'), warn: tag('warn'), error: tag('error') }
  }

  /** Whether a request that went well leaves a line: ask before gathering what `write` needs. */
  get enabled(): boolean {
    return this.#logger.isLevelEnabled('info')
  }

  /** The one place where the line of a request is made. */
  readonly write = (entry: AccessEntry): void => {
    const level = accessLevel(entry)
    const { sink, levels, levelVal } = this.#logger
    if ((levels.values[level] ?? Infinity) < levelVal) return
    if (entry.err !== undefined) sink.write(accessJson(entry, level, sink.identity, sink.scrub))
    else if (sink.text) sink.writeFinished(accessText(entry, this.#tags[level], sink.scrub))
    else sink.writeFinished(accessJson(entry, level, sink.identity, sink.scrub))
  }

  /**
   * Gives a request its id, on the answer too, and has its line written when it is over, from `traceOf(res)`.
   * @returns under which what is done for the request runs (`withRequest`)
   */
  begin(req: IncomingMessage, res: ServerResponse): RequestScope {
    // Read now: Express changes `url`, and the address is gone when the connection is.
    const { method = '', url: path = '' } = req
    const id = requestIdOf(req.headers[idField])
    const parent = parseTraceparent(req.headers['traceparent'])
    const client = this.#clientOf?.(req)
    const span = beginServerSpan(this.#tracer, { id, method, target: path, client, parent })
    const trace = span?.context ?? parent
    const asked = { id, traceId: trace?.traceId, method, path, client }
    const startedMs = performance.now()
    res.setHeader(REQUEST_ID, id)
    res.once('close', () => {
      const latencyUs = (performance.now() - startedMs) * 1000
      const { error, ...told } = traceOf(res)
      const entry = { ...asked, status: statusOf(res), latencyUs, ...told, ...(error && failureOf(error)) }
      endServerSpan(span, entry)
      this.write(entry)
    })
    return { id, trace, span }
  }

  /** Traces a request that is over already. @returns the trace that it belongs to */
  trace(request: SpanRequest, end: SpanEnd): TraceContext | undefined {
    const span = beginServerSpan(this.#tracer, request)
    endServerSpan(span, end)
    return span?.context ?? request.parent
  }

  /** Notes why a request that `begin` has seen is not answered as it would be. */
  readonly failed = (res: ServerResponse, error: ProxyError): void => {
    traceOf(res).error = error
  }

  /** The line of what was refused before it was a request. */
  readonly refused = ({ id, status, code, client }: ConnectionRefusal): void => this.write({ id, status, code, client })
}

const idField = REQUEST_ID.toLowerCase()

function statusOf(res: ServerResponse): number {
  return res.writableFinished ? res.statusCode : CLIENT_CLOSED_REQUEST
}
