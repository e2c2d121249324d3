import type { IncomingMessage, ServerResponse } from 'node:http'
import { lingerAfter } from '@ipfleet/http-server/linger.ts'

/**
 * For a request that is refused before its body has come in: whoever is still sending gets the answer, and its
 * connection ends after it. An error handler, since Express knows those by their four parameters.
 */
export function endUnreadBody(
  error: unknown,
  req: IncomingMessage,
  res: ServerResponse,
  next: (error: unknown) => void,
): void {
  if (!req.complete && hasBody(req) && !res.headersSent) {
    res.setHeader('Connection', 'close')
    lingerAfter(res)
  }
  next(error)
}

/** RFC 9112 §6: a request has a body if one of these says so. */
function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}
