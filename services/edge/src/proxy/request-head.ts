import type { IncomingMessage } from 'node:http'
import type { TraceContext } from '@ipfleet/core/trace-context.ts'
import { ATTEMPT } from '@ipfleet/http-server/further-attempt.ts'
import { hostForm } from '@ipfleet/http-server/request-guard.ts'
import type { ForwardedHeaders } from '@ipfleet/proxy/forwarded-headers.ts'
import { indexOfName } from '@ipfleet/proxy/http1/raw-fields.ts'

/** Who asks, and how. */
export interface Client {
  /** The address that the trusted proxies vouch for; '' where they say nothing that can be read. */
  readonly address: string
  /** The other end of the connection: the client itself, or a trusted proxy. */
  readonly peer: string
  /** Whether the other end is a trusted proxy, also one that asks for itself. */
  readonly isIntroduced: boolean
  readonly secure: boolean
}

/** How this proxy calls itself in Via (RFC 9110 §7.6.3). */
export const pseudonym = 'ipfleet-edge'

export interface HeadOptions {
  readonly host: string
  readonly requestId: string
  /** Of the span of this attempt; undefined: the client's goes on as it is. */
  readonly trace?: TraceContext | undefined
  /** More than 1: another backend may have seen the request, and counted it. */
  readonly attempt?: number
}

/** The request line and the fields for a backend, without the body's framing and the empty line at the end. */
export function requestHead(
  { method, target, httpVersion }: { readonly method: string; readonly target: string; readonly httpVersion: string },
  fields: ForwardedHeaders,
  client: Client,
  { host, requestId, trace, attempt = 1 }: HeadOptions,
): string {
  // What a trusted proxy has said goes on; what anybody else said of itself does not.
  const vouched = client.isIntroduced
  const chain = vouched && fields.forwardedFor !== undefined ? `${fields.forwardedFor}, ${client.peer}` : client.peer
  const own = client.secure ? 'https' : 'http'
  const proto = vouched && isScheme(fields.forwardedProto) ? fields.forwardedProto : own
  const forwardedHost = vouched && fields.forwardedHost !== undefined ? fields.forwardedHost : fields.host
  const via = `${httpVersion} ${pseudonym}`
  return (
    `${method} ${target} HTTP/1.1\r\nHost: ${host}\r\n${fields.lines}` +
    `X-Forwarded-For: ${chain}\r\nX-Forwarded-Proto: ${proto}\r\n` +
    (forwardedHost === '' ? '' : `X-Forwarded-Host: ${forwardedHost}\r\n`) +
    (client.address === '' ? '' : `X-Real-IP: ${client.address}\r\n`) +
    `X-Request-Id: ${requestId}\r\n${fields.traceLines(trace)}X-Proxy: ipfleet\r\n` +
    (attempt > 1 ? `${ATTEMPT}: ${attempt}\r\n` : '') +
    `Via: ${fields.via === undefined ? via : `${fields.via}, ${via}`}\r\n` +
    (fields.maxForwards === undefined ? '' : `Max-Forwards: ${fields.maxForwards}\r\n`) +
    (fields.expectsContinue ? 'Expect: 100-continue\r\n' : '')
  )
}

function isScheme(value: string | undefined): value is 'http' | 'https' {
  return value === 'http' || value === 'https'
}

const maxPasses = 10

/** Whether the request has come through edges so often that it must be going in circles. */
export function isLooping({ via }: ForwardedHeaders): boolean {
  return via !== undefined && via.split(pseudonym).length > maxPasses
}

/** RFC 9112 §3.2.2, without user information (RFC 9110 §4.2.4) and fragments. */
const absoluteForm = /^https?:\/\/([^/?#@\\]+)([/?][^#]*)?$/i

/**
 * Turns a target in absolute form into origin form, and replaces Host by its authority (RFC 9112 §3.2.2), before anything
 * reads either: hidden paths, routes and limits are about the path. OPTIONS without a path is about the server as a whole
 * (§3.2.4). What is in no such form, or has a Host that is none, is left as it is, and refused as such.
 */
export function toOriginForm(req: IncomingMessage): void {
  const { url = '', rawHeaders } = req
  if (url.startsWith('/') || req.httpVersionMajor !== 1) return
  const [, authority = '', path = ''] = absoluteForm.exec(url) ?? []
  if (!hostForm.test(authority)) return
  const at = indexOfName(rawHeaders, 'host')
  if (at >= 0) {
    if (!hostForm.test(rawHeaders[at + 1] ?? '')) return
    rawHeaders[at + 1] = authority
  } else if (req.httpVersion === '1.0') rawHeaders.push('Host', authority)
  req.url = path === '' && req.method === 'OPTIONS' ? '*' : path.startsWith('/') ? path : `/${path}`
}
