import { isIP, SocketAddress } from 'node:net'

const written = String.raw`([\da-f]*[.:][\da-f.:]*)`
/** Paths whose answer is the record of an address or of a network, and which one: `/8.8.8.8`, `/lite/8.8.8.8`, `/AS15169`. */
const addressRecord = new RegExp(`^/(?:(?:lite|lookup|plus|max)/)?${written}$|^/${written}/geo$`, 'i')
const networkRecord = /^\/as(\d+)$/i
/** Paths of modules, whose answers may name the address: `/8.8.8.8/privacy`, `/domains/8.8.8.8`. */
const aboutAddress = new RegExp(`^/${written}/|^/(?:domains|places|resproxy)/${written}(?:$|[?])`, 'i')

/** Whether the JSON may be the answer to a path: a record has to be of what was asked. */
export function isRecordOf(value: unknown, path: string): boolean {
  const asked = captured(addressRecord, path)
  if (asked !== undefined) return isSameAddress(memberOf(value, 'ip'), asked)
  const about = captured(aboutAddress, path)
  const named = memberOf(value, 'ip')
  if (about !== undefined && named !== undefined) return isSameAddress(named, about)
  const network = captured(networkRecord, path)
  if (network === undefined) return true
  const told = memberOf(value, 'asn')
  return typeof told === 'string' && told.toLowerCase() === `as${network}`
}

function captured(form: RegExp, path: string): string | undefined {
  return form.exec(path)?.slice(1).find(Boolean)
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
