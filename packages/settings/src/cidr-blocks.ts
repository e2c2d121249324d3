import { isIP } from 'node:net'

const uniqueLocal = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7']

/** Words that stand for blocks, as Express names them (proxy-addr); `private` is the better known for `uniquelocal`. */
const named = new Map<string, readonly string[]>([
  ['loopback', ['127.0.0.0/8', '::1/128']],
  ['linklocal', ['169.254.0.0/16', 'fe80::/10']],
  ['uniquelocal', uniqueLocal],
  ['private', uniqueLocal],
])

/**
 * The blocks that an item of a list names: a word, an address or `address/prefix`. `undefined` if it is none of these.
 * Strict on purpose: a list of trusted proxies must not be wider than its author reads it.
 */
export function cidrBlocks(item: string): readonly string[] | undefined {
  const words = named.get(item.toLowerCase())
  if (words) return words
  const [address = '', prefix, ...rest] = item.split('/')
  const family = isIP(address)
  // `net.isIP` takes a zone (`fe80::1%eth0`), which means nothing in a list.
  if (family === 0 || address.includes('%') || rest.length > 0) return undefined
  const bits = family === 4 ? 32 : 128
  if (prefix === undefined) return [`${address}/${bits}`]
  return /^(0|[1-9]\d{0,2})$/.test(prefix) && Number(prefix) <= bits ? [`${address}/${prefix}`] : undefined
}
