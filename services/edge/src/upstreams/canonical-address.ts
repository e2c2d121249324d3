import { isIP, isIPv4 } from 'node:net'

/**
 * The one spelling of an address: IPv6 by RFC 5952, and IPv4 for what is IPv4-mapped. Undefined for anything else, so
 * for names. An address with a zone (`fe80::1%eth0`) stays as it is.
 */
export function canonicalAddress(text: string): string | undefined {
  if (isIPv4(text)) return text
  if (isIP(text) === 0) return undefined
  if (text.includes('%')) return text
  const address = new URL(`http://[${text}]`).hostname.slice(1, -1)
  const mapped = /^::ffff:([\da-f]{1,4}):([\da-f]{1,4})$/.exec(address)
  return mapped === null ? address : ipv4Of(Number(`0x${mapped[1]}`), Number(`0x${mapped[2]}`))
}

function ipv4Of(high: number, low: number): string {
  return [high >> 8, high & 255, low >> 8, low & 255].join('.')
}
