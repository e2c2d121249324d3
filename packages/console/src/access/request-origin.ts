import type { IncomingMessage } from 'node:http'
import { peerAddress } from '@ipfleet/net/client-address.ts'

/** `localhost`, `127.0.0.1` or `[::1]`, with any port or none: a name of another kind may be made to point here. */
const loopbackHost = /^(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?$/i

/** Whether the client is on this machine and no proxy is in between. Host: DNS rebinding shows it another name. */
export function isDirectLoopback(req: IncomingMessage): boolean {
  const peer = peerAddress(req)
  const isLoopback = peer === '::1' || peer.startsWith('127.')
  return isLoopback && loopbackHost.test(req.headers.host ?? '') && !isForwarded(req)
}

export function isForwarded({ headers }: IncomingMessage): boolean {
  return Object.keys(headers).some((name) => /^(?:forwarded|via|x-real-ip|x-forwarded-.*)$/.test(name))
}

/** A client that lies about it only harms itself: a page cannot set these fields, and a cookie with Secure is not kept. */
export function isTls(req: IncomingMessage): boolean {
  return 'encrypted' in req.socket || firstOf(req.headers['x-forwarded-proto'])?.toLowerCase() === 'https'
}

/** Whether Origin (RFC 6454 §7) is this console; undefined without one. */
export function isOwnOrigin(req: IncomingMessage): boolean | undefined {
  const { origin, host } = req.headers
  if (origin === undefined) return undefined
  const ownHost = firstOf(req.headers['x-forwarded-host']) ?? host
  return origin.toLowerCase() === `${isTls(req) ? 'https' : 'http'}://${ownHost}`.toLowerCase()
}

/** What a page of another site has sent: its Origin or Fetch Metadata says so. */
export function isCrossSite(req: IncomingMessage): boolean {
  const site = req.headers['sec-fetch-site']
  return isOwnOrigin(req) === false || (site !== undefined && site !== 'same-origin' && site !== 'none')
}

function firstOf(field: string | string[] | undefined): string | undefined {
  return field === undefined ? undefined : String(field).split(',')[0]?.trim()
}
