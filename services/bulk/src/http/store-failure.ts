import type { IncomingMessage, ServerResponse } from 'node:http'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { problemOf } from '@ipfleet/redis/redis-problem.ts'
import { RedisUnavailable } from '@ipfleet/redis/redis-unavailable.ts'

/** Room is made when results expire or someone removes some: not soon. */
const fullRetrySeconds = 60
const awayRetrySeconds = 5

const storeFull = (cause?: unknown): ProxyError =>
  new ProxyError('store_full', { retryAfterSeconds: fullRetrySeconds, cause })

/** Hands on what the store did not answer as what clients are told. An error handler. */
export function mapStoreFailure(
  error: unknown,
  _req: IncomingMessage,
  _res: ServerResponse,
  next: (error: unknown) => void,
): void {
  next(error instanceof RedisUnavailable ? storeFailure(error) : error)
}

function storeFailure(cause: RedisUnavailable): ProxyError {
  if (cause.reason === 'full') return storeFull(cause)
  if (cause.reason === 'reply') return new ProxyError('internal', { cause })
  const code = (cause.problem ?? problemOf(cause.cause))?.code
  const message =
    code === undefined ? {} : { message: `The store of the jobs cannot be used now (${code}), see /health` }
  return new ProxyError('store_away', { retryAfterSeconds: awayRetrySeconds, cause, ...message })
}

/**
 * What is asked of the queue, which is kept in the same Redis, and of which the library has errors of its own.
 * @throws ProxyError, and RedisUnavailable for all else
 */
export async function ofQueue<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (error) {
    throw error instanceof ProxyError ? error : RedisUnavailable.from(error)
  }
}
