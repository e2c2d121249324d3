import { ProxyError, type ErrorCode } from '@ipfleet/core/proxy-error.ts'
import type { UpstreamFault, UpstreamFaultKind } from '@ipfleet/proxy/http1/upstream-fault.ts'
import type { RawFields } from '@ipfleet/proxy/http1/exchange-types.ts'
import { isOwnLack } from '../dial/connect-failure.ts'
import type { Dialled } from '../dial/dial-request.ts'
import { SourceLost } from '../sources/source-connections.ts'
import type { TargetVerdict } from '@ipfleet/net/target.ts'

/** The name of this proxy in Via and Proxy-Status. */
export const pseudonym = 'ipfleet-egress'

/** The proxy error types in use (RFC 9209 §2.3). */
export type ProxyStatusError =
  | 'connection_limit_reached'
  | 'connection_read_timeout'
  | 'connection_refused'
  | 'connection_terminated'
  | 'connection_timeout'
  | 'destination_ip_prohibited'
  | 'destination_ip_unroutable'
  | 'destination_unavailable'
  | 'dns_error'
  | 'dns_timeout'
  | 'http_protocol_error'
  | 'http_request_denied'
  | 'http_request_error'
  | 'http_response_incomplete'
  | 'http_response_timeout'
  | 'proxy_internal_error'

/** Ends a request with an answer of the proxy and a Proxy-Status. Thrown by the steps of a request. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly error: ProxyError
  readonly status: ProxyStatusError
  /** A token: the system's code, or why the policy refused. */
  readonly details: string | undefined

  constructor(error: ProxyError, status: ProxyStatusError, details: string | undefined) {
    super(error.message, { cause: error })
    this.error = error
    this.status = status
    this.details = details
  }
}

export function refusal(
  code: ErrorCode,
  status: ProxyStatusError,
  details?: string,
  more: { readonly retryAfterSeconds?: number; readonly message?: string } = {},
): Refusal {
  const error = new ProxyError(code, { ...more, ...(details !== undefined && { detail: details }) })
  return new Refusal(error, status, details)
}

/** Anything else that is thrown is an internal error. */
export function refusalOf(thrown: unknown): Refusal {
  return thrown instanceof Refusal ? thrown : new Refusal(ProxyError.from(thrown), 'proxy_internal_error', undefined)
}

/** The Proxy-Status field of a refusal (RFC 9209 §2). */
export function statusFields({ status, details }: Refusal): RawFields {
  const more = details === undefined ? '' : `; details="${details.replace(/[^\w .:-]/g, '')}"`
  return ['Proxy-Status', `${pseudonym}; error=${status}${more}`]
}

/** For a target that the policy does not allow. */
export function verdictRefusal(verdict: Exclude<TargetVerdict, { kind: 'allowed' }>): Refusal {
  if (verdict.kind === 'unresolved') {
    const { timedOut, code } = verdict
    if (isOwnLack(code)) return lackRefusal(code)
    return timedOut
      ? refusal('target_timeout', 'dns_timeout', code)
      : refusal('target_unreachable', 'dns_error', code, { message: 'The name of the target could not be looked up' })
  }
  const { reason } = verdict
  const isAddress = reason === 'private' || reason === 'own'
  return refusal('target_refused', isAddress ? 'destination_ip_prohibited' : 'http_request_denied', reason)
}

/** For a source that the client may not choose, or that is not there. */
export function sourceRefusal(): Refusal {
  return refusal('target_refused', 'http_request_denied', 'source address', { message: mayNotChoose })
}

const mayNotChoose = 'You may not choose that source address'

/** For a dial without a connection. */
export function dialRefusal(dialled: Exclude<Dialled, { kind: 'connected' | 'aborted' }>): Refusal {
  switch (dialled.kind) {
    case 'no_source': {
      const { retryAfterSeconds } = dialled
      return refusal('no_source', 'connection_limit_reached', undefined, { retryAfterSeconds })
    }
    case 'no_family':
      return refusal('target_unreachable', 'destination_ip_unroutable', 'no source address of that family')
    case 'unknown_source':
      return sourceRefusal()
    case 'session_lost':
      return refusal('session_lost', 'destination_unavailable', 'session address is out')
    case 'own_lack':
      return lackRefusal(dialled.code)
    case 'failed':
      return failedDial(dialled.code)
  }
}

/** Where this process or machine lacks descriptors or memory; `code` is the system's. */
function lackRefusal(code: string): Refusal {
  return refusal('overloaded', 'connection_limit_reached', code, { retryAfterSeconds: 1 })
}

function failedDial(code: string): Refusal {
  if (code === 'ETIMEDOUT') return refusal('target_timeout', 'connection_timeout', code)
  if (code === 'ECONNREFUSED') return refusal('target_unreachable', 'connection_refused', code)
  if (code === 'ENETUNREACH' || code === 'EHOSTUNREACH') {
    return refusal('target_unreachable', 'destination_ip_unroutable', code)
  }
  return refusal('target_unreachable', 'destination_unavailable', code)
}

const faults: Readonly<Record<UpstreamFaultKind, readonly [ErrorCode, ProxyStatusError]>> = {
  unreachable: ['target_unreachable', 'destination_unavailable'],
  busy: ['overloaded', 'connection_limit_reached'],
  lost: ['target_invalid', 'connection_terminated'],
  silent: ['target_timeout', 'http_response_timeout'],
  cut: ['target_invalid', 'http_response_incomplete'],
  stalled: ['target_timeout', 'connection_read_timeout'],
  garbled: ['target_invalid', 'http_protocol_error'],
}

/** For an exchange that failed. */
export function faultRefusal({ kind, message, cause }: UpstreamFault): Refusal {
  const [code, status] = faults[kind]
  if (cause instanceof SourceLost) return refusal('source_lost', status, cause.message)
  return refusal(code, status, message)
}
