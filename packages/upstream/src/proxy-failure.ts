import type { IncomingHttpHeaders } from 'node:http'
import { errorCode } from '@ipfleet/core/error-code.ts'
import { TransportError } from './transport.ts'

/**
 * Whether an answer to a request over plain HTTP is the forward proxy's own, and upstream has said nothing: 407, or the
 * last member of Proxy-Status, which is the nearest proxy's, tells an error (RFC 9209 §2). Were it taken for upstream's,
 * a proxy that limits its clients would bench one key after another.
 */
export function isOfProxy(status: number, headers: IncomingHttpHeaders): boolean {
  if (status === 407) return true
  const field = String(headers['proxy-status'] ?? '').replaceAll(/"(?:[^"\\]|\\.)*"/g, '""')
  return /;\s*error=/.test(field.split(',').at(-1) ?? '')
}

/** What a proxy's answer means for us: upstream was not reached, or not in time. */
export function proxyError(status: number): TransportError {
  const code = status === 504 ? 'upstream_timeout' : 'upstream_unreachable'
  return new TransportError(code, `the proxy answered ${status}`)
}

/** The status of a proxy that refused a tunnel; undefined for any other error. */
export function statusOfRefusedTunnel(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('statusCode' in error)) return undefined
  return errorCode(error) === 'ERR_PROXY_TUNNEL' ? Number(error.statusCode) : undefined
}
