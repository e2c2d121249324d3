import { isIPv4 } from 'node:net'
import { canonicalAddress } from './canonical-address.ts'
import type { Target } from './target.ts'

export interface ForwardTarget {
  readonly target: Target
  /** Path and query as the client wrote them: begins with `/` or `?`, or is ''. */
  readonly path: string
}

/** Longer than any valid one: 253 of a name, a final dot, a colon and a port. */
const maxAuthorityLength = 260
const authorityForm = /^(\[[^[\]]*\]|[^:[\]]*)(?::(.*))?$/s
/** RFC 3986 §3.2.1: the user information of a URL, with the `@` behind it. */
const userInformation = "(?:(?:[\\w.~!$&'()*+,;=:-]|%[\\da-f]{2})*@)?"
const absoluteForm = new RegExp(`^http://${userInformation}([^/?#]*)((?:[/?][!-~\\x80-\\xff]*)?)$`, 'i')
const beginningOfUrl = new RegExp(`^(http://)${userInformation}`, 'i')

/** What CONNECT names (RFC 9110 §9.3.6): `host:port`, nothing before and nothing behind. Undefined for anything else. */
export function readAuthority(text: string): Target | undefined {
  return readHostAndPort(text, undefined)
}

/**
 * What a request that is to be forwarded is for (RFC 9112 §3.2.2): `http://host[:port]/path?query`. User information is
 * left out: clients send it that have been given such a URL (RFC 9110 §4.2.4). Undefined for other schemes, a fragment,
 * spaces, control characters, what is not ASCII before the path, and for hosts and ports that CONNECT must not name either.
 */
export function forwardTarget(text: string): ForwardTarget | undefined {
  const [, authority = '', path = ''] = absoluteForm.exec(text) ?? []
  const target = readHostAndPort(authority, 80)
  return target === undefined || path.includes('#') ? undefined : { target, path }
}

/** A target in absolute form, without what may be a password. */
export function withoutUserInformation(text: string): string {
  return text.replace(beginningOfUrl, '$1')
}

/** From 1 to 65535, decimal, without leading zeros. */
export function readPort(text: string): number | undefined {
  return /^[1-9]\d{0,4}$/.test(text) && Number(text) <= 65_535 ? Number(text) : undefined
}

/** `defaultPort` stands in for a port that is not there, or is empty (RFC 9110 §4.2.1). */
function readHostAndPort(text: string, defaultPort: number | undefined): Target | undefined {
  if (text.length > maxAuthorityLength) return undefined
  const [, hostText = '', portText] = authorityForm.exec(text) ?? []
  const host = readHost(hostText)
  const port = portText === undefined || (portText === '' && defaultPort) ? defaultPort : readPort(portText)
  return host === undefined || port === undefined ? undefined : { ...host, port }
}

export type TargetHost = Pick<Target, 'host' | 'isAddress'>

/** Of a name in DNS, without its final dot (RFC 1035 §2.3.4). */
const maxNameLength = 253
const label = /^(?!-+$)[a-z0-9_-]{1,63}$/

/**
 * A host as it stands in a request, in the one spelling that lists and look-ups know: lower case, without a final dot,
 * IPv6 without brackets. Undefined for what is no host, for names that are not ASCII (IDNs come as punycode), and for
 * what resolvers take for an address although it is none in strict spelling: `0177.0.0.1`, `0x7f.1`, `2130706433`.
 * Names may have underscores, as those of Compose services and some in DNS do, and hyphens at either end of a label: there
 * are sites with such names, which browsers and curl look up.
 */
export function readHost(text: string): TargetHost | undefined {
  const bracketed = /^\[([\da-f:.]*)\]$/i.exec(text)?.[1]
  if (bracketed !== undefined) return bracketed.includes(':') ? addressIn(bracketed) : undefined
  const host = text.replace(/\.$/, '').toLowerCase()
  if (isIPv4(host)) return { host, isAddress: true }
  return isName(host) ? { host, isAddress: false } : undefined
}

function addressIn(text: string): TargetHost | undefined {
  const host = canonicalAddress(text)
  return host === undefined ? undefined : { host, isAddress: true }
}

function isName(host: string): boolean {
  if (host.length > maxNameLength) return false
  const labels = host.split('.')
  // WHATWG URL §3.5: a host whose last label is a number is an IPv4 address or a mistake.
  return labels.every((one) => label.test(one)) && !/^(?:\d+|0x[\da-f]*)$/.test(labels.at(-1) ?? '')
}
