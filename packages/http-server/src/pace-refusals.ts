import type { IncomingMessage, ServerResponse } from 'node:http'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { RefusalPace } from './refusal-pace.ts'

type AsyncErrorMiddleware<R extends ServerResponse> = (
  error: unknown,
  req: IncomingMessage,
  res: R,
  next: (error?: unknown) => void,
) => Promise<never>

/** For an Express 5 app, before its `errorHandler`: spreads the refusals of a client that holds as much as one may. */
export function paceRefusals<R extends ServerResponse>(clientOf: (res: R) => string): AsyncErrorMiddleware<R> {
  const pace = new RefusalPace()
  // Express knows an error handler by its four parameters, and gives what it throws to the next one.
  return async (error, _req, res, _next) => {
    const isOverShare = error instanceof ProxyError && error.code === 'client_share'
    if (isOverShare) await pace.turn(clientOf(res), () => res.destroyed)
    throw error
  }
}
