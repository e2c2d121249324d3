import { type ErrorCode, ProxyError } from '@ipfleet/core/proxy-error.ts'
import type { UpstreamFault, UpstreamFaultKind } from '@ipfleet/proxy/http1/upstream-fault.ts'

/**
 * Whether another backend may be asked after this fault. Always when nothing was sent. A connection that died before
 * any byte of an answer may have carried the request to a backend that acted on it, so only what changes nothing and
 * has no body is sent again (RFC 9110 §9.2.2).
 */
export function mayRetry(fault: UpstreamFault, method: string, hasBody: boolean): boolean {
  if (fault.unsent) return true
  return fault.kind === 'lost' && (method === 'GET' || method === 'HEAD') && !hasBody
}

/** Whether the fault says something about the backend. A pool without a free connection does not. */
export function blamesBackend({ kind }: UpstreamFault): boolean {
  return kind !== 'busy'
}

const codes: Readonly<Record<UpstreamFaultKind, ErrorCode>> = {
  unreachable: 'backend_unreachable',
  busy: 'overloaded',
  lost: 'backend_invalid',
  silent: 'backend_timeout',
  cut: 'backend_invalid',
  stalled: 'backend_timeout',
  garbled: 'backend_invalid',
}

/** What the client is told of a fault that no other backend made good. */
export function errorOf(fault: UpstreamFault): ProxyError {
  return new ProxyError(codes[fault.kind], {
    detail: fault.message,
    cause: fault.cause,
    ...(fault.kind === 'busy' && { retryAfterSeconds: 1 }),
  })
}
