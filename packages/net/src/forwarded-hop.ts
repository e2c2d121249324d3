import { isIP, isIPv4 } from 'node:net'
import { canonicalAddress } from './canonical-address.ts'

/** A port, or what stands for one (RFC 7239 §6.2). */
const port = /^:(?:\d{1,5}|_[\w.-]+)$/

/**
 * The address of one hop of X-Forwarded-For, canonical, in any of the forms that proxies write: with or without a port,
 * IPv6 with or without brackets, in quotes or not (RFC 7239 §6), with a zone, which is left out. Undefined for
 * `unknown`, for an obfuscated name, and for whatever else is no address.
 */
export function forwardedHop(text: string): string | undefined {
  const [, quoted] = /^"(.*)"$/.exec(text.trim()) ?? []
  const node = (quoted ?? text).trim()
  if (isIP(node) !== 0) return canonicalAddress(withoutZone(node))
  const [, bracketed, afterBracket = ''] = /^\[([^\]]*)\](.*)$/.exec(node) ?? []
  if (bracketed !== undefined) {
    const isRead = !isIPv4(bracketed) && (afterBracket === '' || port.test(afterBracket))
    return isRead ? canonicalAddress(withoutZone(bracketed)) : undefined
  }
  const colon = node.indexOf(':')
  const address = node.slice(0, Math.max(colon, 0))
  return isIPv4(address) && port.test(node.slice(colon)) ? address : undefined
}

/** A zone means something on the machine that wrote it only. */
function withoutZone(address: string): string {
  const zone = address.indexOf('%')
  return zone < 0 ? address : address.slice(0, zone)
}
