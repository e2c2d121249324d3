import type { IncomingMessage, ServerResponse } from 'node:http'
import { ProxyError } from '@ipfleet/errors/proxy-error.ts'
import type { ErrorCode, LogLevel } from '@ipfleet/errors/proxy-error.ts'
import { sendError } from './send-error.ts'

/** What the error handler needs of a logger; a pino logger has it. */
export type ErrorLog = Readonly<Record<LogLevel, (fields: object, message: string) => void>>

export type ErrorMiddleware = (
  error: unknown,
  req: IncomingMessage,
  res: ServerResponse,
  next: (error?: unknown) => void,
) => void

/** A chain of causes may be a ring. */
const maxCauses = 4

/**
 * The last middleware of an Express 5 app: whatever was thrown becomes a JSON answer and a line in the log.
 * Express itself would print HTML with a stack.
 */
export function errorHandler(log: ErrorLog): ErrorMiddleware {
  // Express knows an error handler by its four parameters.
  return (thrown, _req, res, _next) => {
    const error = asProxyError(thrown)
    log[error.level](fieldsOf(error), 'request failed')
    sendError(res, error)
  }
}

/**
 * One line for each expected failure, the client's faults above all: its code says where it is from. A stack, which is
 * of several lines, is for faults of ours.
 */
function fieldsOf(error: ProxyError): object {
  if (error.code === 'internal') return { err: error }
  const { code, detail, cause } = error
  return cause === undefined ? { code, detail } : { code, detail, err: reasonsOf(cause) }
}

/** What an error and its causes say, without their stacks: `RedisUnavailable: Redis unavailable: down: Error: …`. */
function reasonsOf(thrown: unknown, depth = 0): string {
  if (!(thrown instanceof Error)) return String(thrown)
  const said = `${thrown.name}: ${thrown.message}`
  return thrown.cause === undefined || depth === maxCauses ? said : `${said}: ${reasonsOf(thrown.cause, depth + 1)}`
}

/** What Express and body-parser throw about a request becomes the matching refusal; anything else is our own fault. */
export function asProxyError(thrown: unknown): ProxyError {
  if (thrown instanceof ProxyError) return thrown
  const status = faultOfClient(thrown)
  return status === undefined ? ProxyError.from(thrown) : new ProxyError(codeOf(status), { cause: thrown })
}

/**
 * The status of an error that blames the client. http-errors 2 marks with `expose` what may be shown; a URIError
 * comes from decoding a malformed `%` in the path. A bare `status` proves nothing: upstream errors have one too.
 */
function faultOfClient(thrown: unknown): number | undefined {
  if (typeof thrown !== 'object' || thrown === null) return undefined
  if ('name' in thrown && thrown.name === 'URIError') return 400
  if (!('expose' in thrown && thrown.expose === true && 'status' in thrown)) return undefined
  const { status } = thrown
  return typeof status === 'number' && status >= 400 && status < 500 ? status : undefined
}

function codeOf(status: number): ErrorCode {
  if (status === 404) return 'not_found'
  if (status === 405) return 'method_not_allowed'
  if (status === 413) return 'payload_too_large'
  if (status === 414) return 'uri_too_long'
  return 'bad_request'
}
