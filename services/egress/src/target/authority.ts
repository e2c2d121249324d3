import { readHost } from './target-host.ts'
import type { Target } from './target.ts'

/** Longer than any valid one: 253 of a name, a final dot, a colon and a port. */
const longestAuthority = 260
const form = /^(\[[^[\]]*\]|[^:[\]]*)(?::(.*))?$/s

/** What CONNECT names (RFC 9110 §9.3.6): `host:port`, nothing before and nothing behind. Undefined for anything else. */
export function readAuthority(text: string): Target | undefined {
  return readHostAndPort(text, undefined)
}

/** `host` or `host:port`. Undefined for anything else, also when the port is missing and there is none to stand in. */
export function readHostAndPort(text: string, usualPort: number | undefined): Target | undefined {
  if (text.length > longestAuthority) return undefined
  const [, hostText = '', portText] = form.exec(text) ?? []
  const host = readHost(hostText)
  const port = portText === undefined ? usualPort : readPort(portText)
  return host === undefined || port === undefined ? undefined : { ...host, port }
}

/** From 1 to 65535, decimal, without leading zeros. */
export function readPort(text: string): number | undefined {
  return /^[1-9]\d{0,4}$/.test(text) && Number(text) <= 65_535 ? Number(text) : undefined
}

/**
 * Whether the Host field of a CONNECT names the same as its request line. They must not differ (RFC 9112 §3.2): what
 * stands before this proxy may have judged the other one. Some clients leave the port out; RFC 9112 §3.2.2 lets HTTP/1.0
 * leave the field out.
 */
export function agreesWithHost(target: Target, field: string | undefined): boolean {
  if (field === undefined) return true
  const named = readHostAndPort(field, target.port)
  return named !== undefined && named.host === target.host && named.port === target.port
}
