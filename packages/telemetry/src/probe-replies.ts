import { type Exposition, type ExpositionFormat, expositionFormat } from './exposition.ts'

/** Where services answer for themselves. */
export const probePaths = ['/livez', '/readyz', '/health', '/metrics']

export interface ProbeReply {
  readonly status: 200 | 503
  readonly contentType: string
  readonly body: string
}

/** Renders the metrics as the collector's Accept field wants them. */
export async function metricsReply(
  render: (format: ExpositionFormat) => Promise<Exposition>,
  accept: string | undefined,
): Promise<ProbeReply> {
  return { status: 200, ...(await render(expositionFormat(accept))) }
}

/** `{"status":"ok"}` and what else is known; `degraded` where Redis has trouble, and 503 where the service is not ready. */
export function healthReply(isReady: boolean, facts: object, redis?: { readonly reason?: string }): ProbeReply {
  const state = redis?.reason === undefined ? 'ok' : 'degraded'
  return {
    status: isReady ? 200 : 503,
    contentType: 'application/json; charset=utf-8',
    body: `${JSON.stringify({ status: isReady ? state : 'unavailable', ...facts })}\n`,
  }
}
