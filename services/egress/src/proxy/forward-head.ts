import type { IncomingMessage } from 'node:http'
import { withoutUserInformation } from '@ipfleet/net/authority.ts'
import { authorityOf, type Target } from '@ipfleet/net/target.ts'
import type { RequestContext } from './request-record.ts'
import { pseudonym } from './proxy-status.ts'

/** Which fields tell origins of the client. */
export interface Disclosure {
  readonly forwardedFor: boolean
  readonly realIp: boolean
  readonly via: boolean
}

/**
 * Request line and fields for the origin. Host is that of the target (RFC 9112 §3.2.2), and the client's own claims about
 * its address are replaced.
 * @param clientVersion of HTTP
 */
export function forwardHead(
  {
    method,
    path,
    fields,
    client,
    traceLines,
  }: Pick<RequestContext, 'method' | 'path' | 'fields' | 'client' | 'traceLines'>,
  target: Target,
  clientVersion: string,
  disclosure: Disclosure,
): string {
  const via = `${clientVersion} ${pseudonym}`
  return (
    `${method} ${originForm(method, path)} HTTP/1.1\r\nHost: ${hostOf(target)}\r\n${fields.lines}` +
    (disclosure.forwardedFor ? `X-Forwarded-For: ${client}\r\n` : '') +
    (disclosure.realIp ? `X-Real-IP: ${client}\r\n` : '') +
    (disclosure.via ? `Via: ${fields.via === undefined ? via : `${fields.via}, ${via}`}\r\n` : '') +
    (fields.requestId === undefined ? '' : `X-Request-Id: ${fields.requestId}\r\n`) +
    traceLines +
    (fields.maxForwards === undefined ? '' : `Max-Forwards: ${fields.maxForwards}\r\n`) +
    (fields.expectsContinue ? 'Expect: 100-continue\r\n' : '')
  )
}

/** RFC 9112 §3.2.4: OPTIONS for a host without a path is about the server. */
function originForm(method: string, path: string): string {
  if (path === '') return method === 'OPTIONS' ? '*' : '/'
  return path.startsWith('/') ? path : `/${path}`
}

function hostOf(target: Target): string {
  return target.port === 80 ? authorityOf(target).replace(/:80$/, '') : authorityOf(target)
}

/** Left out of the answer to TRACE. */
const secrets: ReadonlySet<string> = new Set(['authorization', 'proxy-authorization', 'cookie'])

/** The body of the answer to TRACE: the request as it came, without its secrets (RFC 9110 §9.3.8). */
export function traceEcho({ method = '', url = '', httpVersion, rawHeaders }: IncomingMessage): string {
  let lines = ''
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? ''
    if (!secrets.has(name.toLowerCase())) lines += `${name}: ${rawHeaders[index + 1]}\r\n`
  }
  return `${method} ${withoutUserInformation(url)} HTTP/${httpVersion}\r\n${lines}\r\n`
}
