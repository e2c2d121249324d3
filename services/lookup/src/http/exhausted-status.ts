import type { IncomingMessage } from 'node:http'
import { type ErrorCode, ProxyError } from '@ipfleet/core/proxy-error.ts'
import { isBackground } from './live-reserve.ts'

/** Upstream cannot be asked now, and the client is told when it can. */
const exhausted: ReadonlySet<ErrorCode> = new Set(['keys_exhausted', 'upstream_paused'])

/** Which status a request is told that with (EXHAUSTED_STATUS). Jobs know what a 503 means. */
export function exhaustedStatusFor(req: IncomingMessage, setting: number): number {
  return isBackground(req) ? 503 : setting
}

/** The error as a client is told it. */
export function toldWith(exhaustedStatus: number, error: ProxyError): ProxyError {
  if (!exhausted.has(error.code) || error.status === exhaustedStatus) return error
  const { code, message, detail, retryAfterSeconds = 1, cause } = error
  const told = { message, retryAfterSeconds, status: exhaustedStatus, cause }
  return new ProxyError(code, detail === undefined ? told : { ...told, detail })
}
