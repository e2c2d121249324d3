import type { IncomingMessage, ServerResponse } from 'node:http'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { lingerAfter } from '@ipfleet/http-server/linger.ts'
import { problemOf } from '@ipfleet/redis/redis-problem.ts'
import { RedisUnavailable } from '@ipfleet/redis/redis-unavailable.ts'
import { fullRetrySeconds } from '../limits/storage-quota.ts'

// Express recognises error handlers by their four parameters.

/**
 * For a request that is refused before its body has come in: a client that still sends receives the answer, and its
 * connection ends after it.
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

const downRetrySeconds = 5

/** Turns a failure of the store into an answer. */
export function mapStoreFailure(
  error: unknown,
  _req: IncomingMessage,
  _res: ServerResponse,
  next: (error: unknown) => void,
): void {
  next(error instanceof RedisUnavailable ? storeFailure(error) : error)
}

function storeFailure(cause: RedisUnavailable): ProxyError {
  if (cause.reason === 'full') return new ProxyError('store_full', { retryAfterSeconds: fullRetrySeconds, cause })
  if (cause.reason === 'reply') return new ProxyError('internal', { cause })
  const code = (cause.problem ?? problemOf(cause.cause))?.code
  const message =
    code === undefined ? {} : { message: `The store of the jobs cannot be used now (${code}), see /health` }
  return new ProxyError('store_away', { retryAfterSeconds: downRetrySeconds, cause, ...message })
}

/**
 * Awaits a call of the queue, which is kept in the same Redis, and whose library has its own errors.
 * @throws ProxyError, and RedisUnavailable for all else
 */
export async function queueCall<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (error) {
    throw error instanceof ProxyError ? error : RedisUnavailable.from(error)
  }
}
