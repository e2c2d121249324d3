import { type Answer, json, refusals } from './answer.ts'
import { type Operator, operators } from './gazetteer.ts'
import { domainNames, domainTotal } from './legacy-record.ts'
import { hash, type Subject } from './subject.ts'

// Not for public use: 0, AS_TRANS (RFC 6793), documentation (RFC 5398), private use and the last ones (RFC 6996, 7300).
const reservedAsns: readonly (readonly [number, number])[] = [
  [0, 0],
  [23456, 23456],
  [64496, 65551],
  [4200000000, Number.POSITIVE_INFINITY],
]

/** `/AS{n}`: the record of an autonomous system with its prefixes and neighbours. */
export function asnAnswer(number: number): Answer {
  if (reservedAsns.some(([first, last]) => number >= first && number <= last)) return refusals.asnNotFound
  const operator = operators.find(({ asn }) => asn === number) ?? madeUpOperator(number)
  const dice = hash(`AS${number}`)
  const prefixes = prefixNames(dice, (dice % 5) + 1)
  const entry = (netblock: string, size: string): object => ({
    netblock,
    id: `NET-${number}`,
    name: operator.name,
    country: operator.countryCode,
    size,
    status: 'ALLOCATED',
    domain: operator.domain,
  })
  return json({
    asn: `AS${number}`,
    name: operator.name,
    country: operator.countryCode,
    allocated: operator.allocated,
    registry: operator.registry,
    domain: operator.domain,
    num_ips: prefixes.length * 2 ** 16,
    type: operator.type,
    prefixes: prefixes.map((netblock) => entry(netblock, String(2 ** 16))),
    prefixes6: [entry(`2a${(dice % 16).toString(16)}0:${(dice >>> 16).toString(16)}::/32`, String(2n ** 96n))],
    peers: ['1299', '3356', '174'].slice(0, (dice % 3) + 1),
    upstreams: ['1299', '3356'],
    downstreams: dice % 2 === 0 ? [] : ['109'],
  })
}

/** `/ranges/{domain}`; `num_ranges` is text, as IPinfo sends it. */
export function rangesAnswer(domain: string): Answer {
  if (!/^([a-z0-9-]+\.)+[a-z]{2,}$/i.test(domain)) return refusals.notFound
  const dice = hash(domain.toLowerCase())
  const ranges = prefixNames(dice, dice % 6)
  return json({
    domain,
    ...(dice % 7 === 0 && { redirects_to: `www.${domain}` }),
    num_ranges: String(ranges.length),
    ranges,
  })
}

/** `/domains/{ip}?page&limit`: pages count from 0, `limit` is 100 unless told and 1000 at most. */
export function domainsAnswer(subject: Subject, query: URLSearchParams): Answer {
  const page = Math.max(0, Math.trunc(Number(query.get('page') ?? 0)) || 0)
  const limit = Math.max(1, Math.trunc(Number(query.get('limit') ?? 100)) || 100)
  if (limit > 1000) return refusals.pageTooLong
  const total = domainTotal(subject)
  const from = page * limit
  return json({ ip: subject.ip, page, total, domains: domainNames(subject, from, Math.min(total, from + limit)) })
}

/** `/whois/{net|org|poc}/{id}`: `net` takes a network's id, an address, an AS or a domain. */
export function whoisAnswer(kind: string | undefined, id: string | undefined): Answer {
  if (id === undefined || (kind !== 'net' && kind !== 'org' && kind !== 'poc')) return refusals.notFound
  const dice = hash(id)
  const common = {
    id,
    name: `Holder ${dice.toString(36).toUpperCase()}`,
    country: 'US',
    updated: '2010-10-18',
    source: 'arin',
  }
  const person = { id: `POC-${dice % 1000}`, name: 'Network Operations', email: 'noc@example.net', country: 'US' }
  const record = {
    net: { range: prefixNames(dice, 1)[0], ...common, org: null, admin: person, abuse: person, tech: null },
    org: { ...common, address: null, admin: person, abuse: person, tech: null, created: '2000-03-25' },
    poc: { ...common, email: 'noc@example.net', address: null, phone: '+1-650-253-0000' },
  }[kind]
  return json({ [kind]: id, total: 1, page: 0, records: [{ ...record, raw: `# ${id}` }] })
}

/** `/places/{ip}`: the venue whose network it is; about half of the addresses have none and answer `{}`. */
export function placesAnswer({ ip, place, dice }: Subject): Answer {
  if (dice % 2 === 0) return json({})
  return json({
    ip,
    name: `${place.city} Central Library`,
    category: 'library',
    ssid: 'Library-Guest',
    latitude: place.latitude,
    longitude: place.longitude,
  })
}

function madeUpOperator(asn: number): Operator {
  return {
    asn,
    name: `Network ${asn} Ltd`,
    domain: `as${asn}.net`,
    type: 'isp',
    countryCode: 'GB',
    registry: 'ripe',
    allocated: '2005-04-01',
    mobile: undefined,
  }
}

function prefixNames(dice: number, count: number): string[] {
  return Array.from({ length: count }, (_, at) => `${(dice % 90) + 11}.${((dice >>> 8) + at * 7) % 256}.0.0/16`)
}
