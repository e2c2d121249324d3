import type { ProxyError } from '@ipfleet/core/proxy-error.ts'

/** What describes the answer that was being made, and would be wrong on the error that goes out instead. */
const ofTheOtherAnswer = [
  'Content-Encoding',
  'Content-Length',
  'Content-Range',
  'ETag',
  'Last-Modified',
  'Age',
  'Expires',
]

/** What it takes of a response, of HTTP/1 or HTTP/2. */
export interface ErrorResponse {
  readonly headersSent: boolean
  statusCode: number
  setHeader(name: string, value: string | number): unknown
  removeHeader(name: string): void
  end(body: string): unknown
  destroy(): unknown
}

export interface ErrorAnswerOptions {
  /** Whether pages of any origin may read it: default true, as with every answer of IPinfo. */
  readonly isForAllOrigins?: boolean
}

/**
 * Answers with an error as JSON. Fields that were set before and belong to any answer (Allow, Cache-Status) stay.
 * If an answer has already begun, the connection is destroyed: its client must not take half a body for a whole one.
 */
export function sendError(
  res: ErrorResponse,
  error: ProxyError,
  { isForAllOrigins = true }: ErrorAnswerOptions = {},
): void {
  if (res.headersSent) {
    res.destroy()
    return
  }
  const body = error.body()
  for (const name of ofTheOtherAnswer) res.removeHeader(name)
  if (error.retryAfterSeconds !== undefined) res.setHeader('Retry-After', error.retryAfterSeconds)
  res.setHeader('Content-Type', 'application/json; charset=utf-8')
  res.setHeader('Content-Length', Buffer.byteLength(body))
  res.setHeader('Cache-Control', 'no-store')
  if (isForAllOrigins) res.setHeader('Access-Control-Allow-Origin', '*')
  res.statusCode = error.status
  // Node leaves the body out when the method was HEAD.
  res.end(body)
}
