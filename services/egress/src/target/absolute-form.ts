import { readHostAndPort } from './authority.ts'
import type { Target } from './target.ts'

export interface AbsoluteForm {
  readonly target: Target
  /** Path and query as the client wrote them: begins with `/` or `?`, or is ''. */
  readonly path: string
}

const form = /^http:\/\/([^/?#]*)((?:[/?][!-~]*)?)$/i

/**
 * The request target of a request that is to be forwarded (RFC 9112 §3.2.2): `http://host[:port]/path?query`. Undefined
 * for other schemes, user information (RFC 9110 §4.2.4), a fragment, spaces, control characters, what is not ASCII, and
 * hosts and ports that CONNECT must not name either.
 */
export function readAbsoluteForm(text: string): AbsoluteForm | undefined {
  const [, authority = '', path = ''] = form.exec(text) ?? []
  const target = readHostAndPort(authority, 80)
  return target === undefined || path.includes('#') ? undefined : { target, path }
}
