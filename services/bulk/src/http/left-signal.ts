import type { ServerResponse } from 'node:http'

/** Aborts when an answer's connection is gone, or the answer is out: then nobody waits for it any more. */
export function leftSignal(res: ServerResponse): AbortSignal {
  const controller = new AbortController()
  if (res.closed) controller.abort()
  else res.once('close', () => controller.abort())
  return controller.signal
}
