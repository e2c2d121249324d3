import { isIP } from 'node:net'

/**
 * Names that columns with addresses have, as programs write them; the first of these that a table has is meant. Letter
 * case, and what separates words, do not matter.
 */
const names: readonly string[] = (
  'ip ipaddress ipaddr ipstr ipv4 ipv6 clientip cip remoteip remoteaddr remoteaddress srcip sourceip srcaddr saddr src ' +
  'ipsrc sa source ' +
  'sourceaddress sourceipaddress idorigh origh userip visitorip clientaddress clientipaddress callerip ' +
  'callersourceaddress xforwardedfor forwardedfor xff address addr ipprefix ipv4prefix ipv6prefix prefix network cidr host'
).split(' ')

/**
 * How likely a column of that name, or a member of that path, holds addresses: the less the likelier; undefined for a name
 * that says nothing.
 */
export function addressNameRank(name: string): number | undefined {
  const known = [name, ...(isOfServer(name) ? [] : [name.replace(/^.*\./, '')])]
  return known.map((one) => names.indexOf(one.toLowerCase().replaceAll(/[\s._-]+/g, ''))).find((rank) => rank !== -1)
}

/** Of who is asked (`destination.ip`), a name says nothing. */
const isOfServer = (name: string): boolean =>
  /(?:^|[\s._])(?:dst|dest|destination|server|resp|local|origin|observer|host)/i.test(name)

/**
 * The column that holds the addresses: by its name, if it holds any, or else the one with most of them, those of servers
 * last.
 * @returns its position and those of others that hold addresses; undefined where none does
 */
export function addressColumn(
  header: readonly string[] | undefined,
  rows: readonly (readonly string[])[],
  isAddress: (cell: string) => boolean = isBareAddress,
): { readonly index: number; readonly others: readonly number[] } | undefined {
  const width = Math.max(header?.length ?? 0, ...rows.map(({ length }) => length))
  const columns = Array.from({ length: width }, (_, index) => ({
    index,
    rank: header?.[index] === undefined ? undefined : addressNameRank(header[index]),
    isOfServer: isOfServer(header?.[index] ?? ''),
    count: rows.filter((row) => isAddress(row[index] ?? '')).length,
  }))
  const holding = columns.filter(({ count }) => count > 0)
  const [best] = holding.toSorted(
    (one, other) =>
      (one.rank ?? Infinity) - (other.rank ?? Infinity) ||
      Number(one.isOfServer) - Number(other.isOfServer) ||
      other.count - one.count ||
      one.index - other.index,
  )
  const named = columns.filter(({ rank }) => rank !== undefined).toSorted((a, b) => Number(a.rank) - Number(b.rank))[0]
  const chosen = best ?? named
  if (chosen === undefined) return undefined
  return { index: chosen.index, others: holding.map(({ index }) => index).filter((index) => index !== chosen.index) }
}

export function isBareAddress(cell: string): boolean {
  return isIP(cell.trim()) !== 0
}
