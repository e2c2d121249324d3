import { isIP, isIPv4 } from 'node:net'

/**
 * The one spelling of an address: IPv6 by RFC 5952, and IPv4 for what is IPv4-mapped. Undefined for anything else: for
 * names, for what only resolvers take for an address (`127.1`), and for an address with a zone (`fe80::1%eth0`), which
 * means something on one machine only.
 */
export function canonicalAddress(text: string): string | undefined {
  if (isIPv4(text)) return text
  if (isIP(text) === 0 || text.includes('%')) return undefined
  // ipaddr.js 2.5 reads `::127.0.0.1` as if it were IPv4-mapped; WHATWG URL does not.
  const address = new URL(`http://[${text}]`).hostname.slice(1, -1)
  const mapped = /^::ffff:([\da-f]{1,4}):([\da-f]{1,4})$/.exec(address)
  return mapped === null ? address : dotted(Number(`0x${mapped[1]}`), Number(`0x${mapped[2]}`))
}

/** An IPv4 address of its two halves. */
export function dotted(high: number, low: number): string {
  return [high >> 8, high & 255, low >> 8, low & 255].join('.')
}
