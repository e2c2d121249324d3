import type { RequestHandler } from 'express'

/** Those that this API reads, and that a page may not send unasked. */
const requestFields =
  'Authorization, Cache-Control, Content-Encoding, Content-Type, Idempotency-Key, If-None-Match, If-Range, ' +
  'Last-Event-ID, Range, X-Request-Id'
/** Those that a page may not read unasked. */
const answerFields =
  'Accept-Ranges, Content-Disposition, Content-Encoding, Content-Range, ETag, Idempotency-Replayed, Link, Location, ' +
  'Retry-After, X-Request-Id'

/**
 * Admits pages of every origin (Fetch Standard §3.3), as the replicas do: what a client may is decided by its token,
 * which a page has to send by itself, and never by a cookie. A preflight has no token.
 */
export const cors: RequestHandler = (req, res, next) => {
  res.set({ 'Access-Control-Allow-Origin': '*', 'Access-Control-Expose-Headers': answerFields })
  if (req.method !== 'OPTIONS' || req.get('Access-Control-Request-Method') === undefined) return next()
  res.set({
    'Access-Control-Allow-Methods': 'GET, HEAD, POST, DELETE',
    'Access-Control-Allow-Headers': requestFields,
    'Access-Control-Max-Age': '86400',
  })
  res.status(204).end()
}
