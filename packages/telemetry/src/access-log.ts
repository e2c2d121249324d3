import type { IncomingMessage, ServerResponse } from 'node:http'
import { pinoHttp } from 'pino-http'
import { CLIENT_CLOSED_REQUEST, accessFields, accessJson, accessLevel, accessText } from './access-line.ts'
import type { AccessEntry } from './access-line.ts'
import type { Logger } from './logger.ts'
import { traceOf } from './request-trace.ts'
import { levelTag } from './text-line.ts'

export interface AccessLogOptions {
  readonly logger: Logger
  /** Adds the client's address to each line. */
  readonly clientOf?: (req: IncomingMessage) => string
}

export interface AccessLog {
  /** Whether a request that went well leaves a line: ask before gathering what `write` needs. */
  readonly enabled: boolean
  /** Writes one line by hand, for answers that never reach the middleware: pino-http costs about 10 µs a request. */
  write(entry: AccessEntry): void
  /** pino-http with the same line; it reads `traceOf(res)`. Gives `req.log` and, from X-Request-Id, `req.id`. */
  readonly middleware: (req: IncomingMessage, res: ServerResponse, next: () => void) => void
}

/** The access log: one line a request, of one shape, whichever way the request was answered. */
export function createAccessLog({ logger, clientOf }: AccessLogOptions): AccessLog {
  const { sink } = logger
  const levels = logger.levels.values
  const tags = { info: levelTag('info', sink.colour), warn: levelTag('warn', sink.colour) }

  return {
    get enabled() {
      return logger.isLevelEnabled('info')
    },
    write(entry) {
      const level = accessLevel(entry.status)
      if ((levels[level] ?? Infinity) < logger.levelVal) return
      sink.writeFinished(sink.text ? accessText(entry, tags[level], sink.scrub) : accessJson(entry, level, sink.scrub))
    },
    middleware: accessMiddleware(logger, clientOf),
  }
}

function accessMiddleware(logger: Logger, clientOf: AccessLogOptions['clientOf']): AccessLog['middleware'] {
  const fieldsOf = (req: IncomingMessage, res: ServerResponse) => accessFields(entryOf(req, res, clientOf?.(req)))
  const log = pinoHttp({
    logger,
    customAttributeKeys: { reqId: 'id' },
    // With both quiet, `req.log` says the id and not the whole request, whose headers hold the client's token.
    quietReqLogger: true,
    quietResLogger: true,
    wrapSerializers: false,
    serializers: { req: () => undefined, res: () => undefined, id: (id: string) => id || undefined },
    genReqId: requestId,
    customLogLevel: (_req, res) => accessLevel(statusOf(res)),
    customSuccessMessage: () => 'request',
    customErrorMessage: () => 'request',
    customSuccessObject: fieldsOf,
    customErrorObject: fieldsOf,
  })
  return (req, res, next) => {
    const trace = traceOf(res)
    trace.startedAtMs ??= performance.now()
    log(req, res, next)
  }
}

function entryOf(req: IncomingMessage & { originalUrl?: string }, res: ServerResponse, client?: string): AccessEntry {
  const trace = traceOf(res)
  return {
    method: req.method ?? '',
    // Express cuts the mount point off `url` and keeps the whole in `originalUrl`.
    path: req.originalUrl ?? req.url ?? '',
    status: statusOf(res),
    cache: trace.cache,
    keyId: trace.keyId,
    upstreamStatus: trace.upstreamStatus,
    items: trace.items,
    latencyUs: (performance.now() - (trace.startedAtMs ?? performance.now())) * 1000,
    client,
  }
}

function statusOf(res: ServerResponse): number {
  return res.writableFinished ? res.statusCode : CLIENT_CLOSED_REQUEST
}

/** The id that the request brought, if it looks like one, else ''. It binds the lines of edge and replica together. */
function requestId(req: IncomingMessage): string {
  const id = req.headers['x-request-id']
  return typeof id === 'string' && /^[\w.:-]{1,64}$/.test(id) ? id : ''
}
