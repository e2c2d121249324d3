import { isIPv4 } from 'node:net'
import { canonicalAddress } from './canonical-address.ts'
import type { Target } from './target.ts'

export type TargetHost = Pick<Target, 'host' | 'isAddress'>

/** Of a name in DNS, without its final dot (RFC 1035 §2.3.4). */
const longestName = 253
const label = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/

/**
 * A host as it stands in a request, in the one spelling that lists and look-ups know: lower case, without a final dot,
 * IPv6 without brackets. Undefined for what is no host, for names that are not ASCII (IDNs come as punycode), and for
 * what resolvers take for an address although it is none in strict spelling: `0177.0.0.1`, `0x7f.1`, `2130706433`.
 * Names may have underscores, as those of Compose services and some in DNS do.
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
  if (host.length > longestName) return false
  const labels = host.split('.')
  // WHATWG URL §3.5: a host whose last label is a number is an IPv4 address or a mistake.
  return labels.every((one) => label.test(one)) && !/^(?:\d+|0x[\da-f]*)$/.test(labels.at(-1) ?? '')
}
