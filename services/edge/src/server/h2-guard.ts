import type { IncomingMessage } from 'node:http'
import { hostForm, type RequestFault } from '@ipfleet/http-server/request-guard.ts'

/**
 * What is wrong with an HTTP/2 request that nghttp2 lets by. It has no Transfer-Encoding and no Connection (RFC 9113
 * §8.2.2), and its length is that of its frames; but its target and its names are about to become HTTP/1.1, where a
 * blank or a line end in them would make two requests of one.
 */
export function h2Guard({ maxTargetLength }: { readonly maxTargetLength: number }) {
  return (req: IncomingMessage): RequestFault | undefined => {
    const target = req.url ?? ''
    if (target.length > maxTargetLength) return 'uri_too_long'
    if (req.method === 'TRACE' || req.method === 'CONNECT') return 'method_not_allowed'
    // `OPTIONS *` asks about the server as a whole (RFC 9113 §8.3.1).
    const isAsterisk = target === '*' && req.method === 'OPTIONS'
    if (!isAsterisk && (!/^\/[!-~\x80-\xff]*$/.test(target) || target.includes('#'))) return 'bad_request'
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(req.method ?? '')) return 'bad_request'
    return fieldsFault(req.rawHeaders)
  }
}

/** RFC 9110 §5.6.2, and the colon of pseudo-fields. */
const nameForm = /^:?[\w!#$%&'*+.^`|~-]+$/

function fieldsFault(raw: readonly string[]): RequestFault | undefined {
  let host: string | undefined
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index] ?? ''
    const value = raw[index + 1] ?? ''
    if (!nameForm.test(name) || /[\r\n\0]/.test(value)) return 'bad_request'
    if (name !== ':authority' && name !== 'host') continue
    if (host !== undefined && host !== value) return 'bad_request'
    host = value
  }
  return host !== undefined && hostForm.test(host) ? undefined : 'bad_request'
}
