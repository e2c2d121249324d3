import type { IncomingMessage } from 'node:http'
import { hostForm } from '@ipfleet/http-server/request-guard.ts'

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
  const at = rawHeaders.findIndex((name, index) => index % 2 === 0 && name.toLowerCase() === 'host')
  if (at >= 0) {
    if (!hostForm.test(rawHeaders[at + 1] ?? '')) return
    rawHeaders[at + 1] = authority
  } else if (req.httpVersion === '1.0') rawHeaders.push('Host', authority)
  req.url = path === '' && req.method === 'OPTIONS' ? '*' : path.startsWith('/') ? path : `/${path}`
}
