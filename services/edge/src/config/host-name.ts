import { BlockList, isIPv4, isIPv6 } from 'node:net'

const label = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i

/**
 * A name or an address as it stands before a port, lower case and without brackets; undefined if it is neither. Names
 * that URL parsers and resolvers would take for an address (`127.1`, `0x7f.1`) are neither. Compose services may have
 * an underscore in their name.
 */
export function hostNameIn(text: string): string | undefined {
  const bracketed = /^\[(.*)\]$/s.exec(text)?.[1]
  if (bracketed !== undefined)
    return isIPv6(bracketed) && !bracketed.includes('%') ? bracketed.toLowerCase() : undefined
  if (isIPv4(text)) return text
  const labels = text.split('.')
  const endsInNumber = /^(\d+|0x[0-9a-f]*)$/i.test(labels.at(-1) ?? '')
  return text.length <= 253 && labels.every((one) => label.test(one)) && !endsInNumber ? text.toLowerCase() : undefined
}

/** Decimal, without leading zeros; undefined above 65535. */
export function portIn(text: string): number | undefined {
  return /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535 ? Number(text) : undefined
}

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8)
loopback.addAddress('::1', 'ipv6')

export function isLoopback(host: string): boolean {
  return host === 'localhost' || isIn(loopback, host)
}

const unspecified = new BlockList()
unspecified.addAddress('0.0.0.0')
unspecified.addAddress('::', 'ipv6')

/** Means all addresses of the machine to a listener, and this machine to a client. */
export function isUnspecified(host: string): boolean {
  return host === '' || isIn(unspecified, host)
}

function isIn(list: BlockList, host: string): boolean {
  return isIPv4(host) ? list.check(host) : isIPv6(host) && list.check(host, 'ipv6')
}
