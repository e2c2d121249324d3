import type { IncomingMessage } from 'node:http'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import type { ErrorCode } from '@ipfleet/core/proxy-error.ts'
import type { ResponseWriter } from './response-writer.ts'
import { type ErrorAnswerOptions, sendError } from './send-error.ts'

export type ErrorMiddleware = (
  error: unknown,
  req: IncomingMessage,
  res: ResponseWriter,
  next: (error?: unknown) => void,
) => void

/**
 * The last middleware of an Express 5 app: whatever was thrown becomes a JSON answer, and `onError` is told, before the
 * answer leaves. Express itself would print HTML with a stack.
 */
export function errorHandler(
  onError: (res: ResponseWriter, error: ProxyError) => void,
  options: ErrorAnswerOptions = {},
): ErrorMiddleware {
  // Express knows an error handler by its four parameters.
  return (thrown, _req, res, _next) => {
    const error = asProxyError(thrown)
    onError(res, error)
    sendError(res, error, options)
  }
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
