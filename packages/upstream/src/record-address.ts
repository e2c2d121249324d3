import { isIP, SocketAddress } from 'node:net'

/** Paths whose answer is the record of an address or of a network, and which one: `/8.8.8.8`, `/lite/8.8.8.8`, `/AS15169`. */
const addressRecord = /^\/(?:(?:lite|lookup|plus|max)\/)?([\da-f]*[.:][\da-f.:]*)(?:\/geo)?$/i
const networkRecord = /^\/as(\d+)$/i

/** Whether the JSON may be the answer to a path: a record has to be of what was asked. */
export function isRecordOf(value: unknown, path: string): boolean {
  const address = addressRecord.exec(path)?.[1]
  if (address !== undefined) return isSameAddress(memberOf(value, 'ip'), address)
  const network = networkRecord.exec(path)?.[1]
  if (network === undefined) return true
  const told = memberOf(value, 'asn')
  return typeof told === 'string' && told.toLowerCase() === `as${network}`
}

function isSameAddress(told: unknown, asked: string): boolean {
  if (typeof told !== 'string') return false
  return told === asked || (isIP(told) !== 0 && canonical(told) === canonical(asked))
}

/** One spelling of an address; an IPv4-mapped IPv6 address is the IPv4 address. */
function canonical(address: string): string {
  if (isIP(address) !== 6) return address
  const text = new SocketAddress({ address, family: 'ipv6' }).address
  return text.startsWith('::ffff:') && text.includes('.') ? text.slice(7) : text
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined
}
