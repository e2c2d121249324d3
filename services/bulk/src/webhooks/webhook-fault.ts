import { errorCode } from '@ipfleet/core/error-code.ts'

/**
 * Why a webhook was not delivered; a closed set, for logs, metrics and the job's JSON:
 *
 * - `refused`: the target policy forbids it. `unresolved`: the name has no addresses.
 * - `unreachable`: no connection, or it ended before an answer. `tls`: no trusted one.
 * - `timeout`: no answer within the deadline. `garbled`: the answer was not HTTP.
 * - `redirect`, `client_error`, `server_error`: 3xx, 4xx, 5xx. `gone`: 410, which wants no more of them.
 */
export const webhookFaults = [
  'refused',
  'unresolved',
  'unreachable',
  'tls',
  'timeout',
  'garbled',
  'redirect',
  'client_error',
  'server_error',
  'gone',
] as const

export type WebhookFault = (typeof webhookFaults)[number]

/** Undefined for 2xx. */
export function faultOfStatus(status: number): WebhookFault | undefined {
  if (status >= 200 && status < 300) return undefined
  if (status === 410) return 'gone'
  if (status >= 300 && status < 400) return 'redirect'
  if (status >= 400 && status < 500) return 'client_error'
  return status >= 500 && status < 600 ? 'server_error' : 'garbled'
}

/** Codes of OpenSSL and of Node's TLS: CERT_HAS_EXPIRED, UNABLE_TO_VERIFY_LEAF_SIGNATURE, ERR_TLS_…, ERR_SSL_…, EPROTO. */
const tlsCode = /CERT|TLS|SSL|UNABLE_TO_|EPROTO|HOSTNAME_MISMATCH/

/** Of what node:http and node:https throw. */
export function faultOfError(error: unknown): WebhookFault {
  const code = errorCode(error) ?? ''
  if (code.startsWith('HPE_')) return 'garbled'
  return tlsCode.test(code) ? 'tls' : 'unreachable'
}
