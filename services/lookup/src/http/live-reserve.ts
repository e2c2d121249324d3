import type { IncomingMessage } from 'node:http'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'

/**
 * Whether a request says of itself that no client waits for it, and that look-ups with a waiting client go before it: it
 * has the field, whatever the percentage.
 */
export function isBackground({ headers }: IncomingMessage): boolean {
  return headers['ipfleet-live-reserve'] !== undefined
}

/**
 * `Ipfleet-Live-Reserve: 20`: of each API key's limit, that percentage is not touched by this request, so that it is
 * left to look-ups with a waiting client. As a share, 0 without the field.
 * @throws ProxyError `bad_request` for anything but a whole number from 0 to 99
 */
export function liveReserve({ headers }: IncomingMessage): number {
  const field = headers['ipfleet-live-reserve']
  if (field === undefined) return 0
  if (typeof field === 'string' && /^\d{1,2}$/.test(field)) return Number(field) / 100
  throw new ProxyError('bad_request', { message: 'Ipfleet-Live-Reserve is a whole number of percent, from 0 to 99' })
}
