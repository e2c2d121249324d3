import type { IncomingMessage, ServerResponse } from 'node:http'
import { ownLatin1 } from '@ipfleet/core/own-latin1.ts'
import { CLIENT_CLOSED_REQUEST, type ProxyError } from '@ipfleet/core/proxy-error.ts'
import type { Span } from '@ipfleet/core/span.ts'
import { parseTraceparent, type TraceContext } from '@ipfleet/core/trace-context.ts'
import type { ConnectionRefusal } from '@ipfleet/http-server/harden-server.ts'
import { REQUEST_ID, requestIdOf, type RequestScope } from '@ipfleet/http-server/request-id.ts'
import type { ResponseWriter } from '@ipfleet/http-server/response-writer.ts'
import { pino } from 'pino'
import { type HttpLogger, pinoHttp } from 'pino-http'
import { type AccessEntry, accessJson, accessLevel, accessText, askedJson } from './access-line.ts'
import { failureOf } from './failure-fields.ts'
import type { Logger } from './logger.ts'
import { logTime } from './log-time.ts'
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

/** A request that memory has answered with 200. */
export interface LoggedHit {
  readonly id: string
  /** Whether the client gave the id. */
  readonly isForeignId: boolean
  readonly traceId: string | undefined
  readonly target: string
  readonly latencyUs: number
}

/** What the JSON lines of an entry's hits have in common, as long as the target and the secrets that are known are the same. */
export interface HitLine {
  readonly target: string
  readonly revision: number
  readonly asked: string
}

interface Begun {
  readonly id: string
  readonly traceId: string | undefined
  readonly span: Span | undefined
  readonly startedMs: number
  readonly method: string
  readonly path: string
  readonly client: string | undefined
}

/** The access log: one line a request, of one shape, in whichever way the request was answered. */
export class AccessLog {
  readonly #logger: Logger
  readonly #clientOf: AccessLogOptions['clientOf']
  readonly #tracer: Tracer
  readonly #tags: Readonly<Record<ReturnType<typeof accessLevel>, string>>
  #startTime = ''
  #start = ''
  readonly #begun = new WeakMap<ResponseWriter, Begun>()
  readonly #follow: HttpLogger

  constructor({ logger, clientOf, tracer = noTracer }: AccessLogOptions) {
    this.#logger = logger
    this.#tracer = tracer
    this.#clientOf = clientOf
    const tag = (level: string): string => levelTag(level, logger.sink.colour)
    this.#tags = { debug: tag('debug'), info: tag('info'), warn: tag('warn'), error: tag('error') }
    this.#follow = this.#followed()
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
   * As `write`, for a log that is `enabled`. To make such a line as a whole takes as long as the rest of a hit in memory.
   * @param last what this returned for the hit before of the same entry
   */
  writeHit(hit: LoggedHit, last: HitLine | undefined): HitLine | undefined {
    const { id, isForeignId, traceId, target, latencyUs } = hit
    const entry = { id, traceId, method: 'GET', path: target, status: 200, cache: 'l1', latencyUs }
    const { sink } = this.#logger
    // A target with a query may hold a token, which must not be kept.
    if (sink.text || target.includes('?')) {
      this.write(entry)
      return last
    }
    const { revision, scrub } = sink
    const isSame = last?.target === target && last.revision === revision
    const line = isSame ? last : { target: ownLatin1(target), revision, asked: ownLatin1(askedJson(entry, scrub)) }
    const trace = traceId === undefined ? '' : `","trace_id":"${traceId}`
    const end = `,"latency_us":${Math.round(latencyUs)},"msg":"request"}\n`
    sink.writeFinished(`${this.#hitStart()}${isForeignId ? scrub(id) : id}${trace}"${line.asked}${end}`)
    return line
  }

  /** Up to the id, which is a text that needs no escapes. */
  #hitStart(): string {
    const time = logTime()
    if (time !== this.#startTime) {
      this.#startTime = time
      this.#start = `{"level":"info","time":"${time}"${this.#logger.sink.identity},"id":"`
    }
    return this.#start
  }

  /** Whether requests that bring no trace begin one. */
  get isTracing(): boolean {
    return this.#tracer !== noTracer
  }

  /**
   * Gives a request its id, on the answer too, and has its line written when it is over, from `traceOf(res)`.
   * @returns under which what is done for the request runs (`withRequest`)
   */
  begin(req: IncomingMessage, res: ServerResponse): RequestScope {
    const scope = this.#begin(req, res)
    res.setHeader(REQUEST_ID, scope.id)
    this.#follow(req, res)
    return scope
  }

  /**
   * As `begin`, for what is asked often: pino-http makes three loggers for each request. The id is the caller's to put on
   * the answer (`REQUEST_ID`): Node 26 writes a list of fields as it is only to a response that has none.
   */
  beginHot(req: IncomingMessage, res: ResponseWriter): RequestScope {
    const scope = this.#begin(req, res)
    res.once('close', () => this.write(this.#endOf(res)))
    return scope
  }

  #begin(req: IncomingMessage, res: ResponseWriter): RequestScope {
    // Read now: Express changes `url`, and the address is gone when the connection is.
    const { method = '', url: path = '' } = req
    const id = requestIdOf(req.headers[idField])
    const parent = parseTraceparent(req.headers['traceparent'])
    const client = this.#clientOf?.(req)
    const span = beginServerSpan(this.#tracer, { id, method, target: path, client, parent })
    const trace = span?.context ?? parent
    this.#begun.set(res, { id, traceId: trace?.traceId, span, startedMs: performance.now(), method, path, client })
    return { id, trace, span }
  }

  /**
   * pino-http 11 sees how the request ends; it costs about 10 µs, so hits in memory do without it. Its logger hands what
   * it is told to `write`, so that every line is made in one place.
   */
  #followed(): HttpLogger {
    const entryOf = (_req: IncomingMessage, res: ServerResponse): AccessEntry => this.#endOf(res)
    const logger = pino({ hooks: { logMethod: ([entry]) => this.write(entry as AccessEntry) } })
    return pinoHttp({
      logger,
      genReqId: (_req, res) => this.#begun.get(res)?.id ?? '',
      // Its own line would hold the whole request, whose fields hold the client's token.
      quietReqLogger: true,
      quietResLogger: true,
      wrapSerializers: false,
      serializers: { req: () => undefined, res: () => undefined },
      customSuccessObject: entryOf,
      customErrorObject: entryOf,
    })
  }

  #endOf(res: ResponseWriter): AccessEntry {
    const { startedMs, span, ...asked } = this.#begun.get(res) ?? unseen
    const latencyUs = (performance.now() - startedMs) * 1000
    const { error, ...told } = traceOf(res)
    const entry = { ...asked, status: statusOf(res), latencyUs, ...told, ...(error && failureOf(error)) }
    endServerSpan(span, entry)
    return entry
  }

  /** Traces a request that is over already. @returns the trace that it belongs to */
  trace(request: SpanRequest, end: SpanEnd): TraceContext | undefined {
    const span = beginServerSpan(this.#tracer, request)
    endServerSpan(span, end)
    return span?.context ?? request.parent
  }

  /** Notes why a request that `begin` has seen is not answered as it would be. */
  readonly failed = (res: ResponseWriter, error: ProxyError): void => {
    traceOf(res).error = error
  }

  /** The line of what was refused before it was a request. */
  readonly refused = ({ id, status, code, client }: ConnectionRefusal): void => this.write({ id, status, code, client })
}

const unseen = { id: '', startedMs: performance.now(), span: undefined }
const idField = REQUEST_ID.toLowerCase()

function statusOf(res: ResponseWriter): number {
  return res.writableFinished ? res.statusCode : CLIENT_CLOSED_REQUEST
}
