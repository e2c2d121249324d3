import { isRecord } from '@ipfleet/core/json.ts'

export type IpinfoRecord = Readonly<Record<string, unknown>>

/** IPinfo's order; a field of another name goes before the modules. */
const firstFields = ['ip', 'hostname', 'anycast', 'city', 'region', 'country', 'loc', 'org', 'postal', 'timezone']
const moduleNames: ReadonlySet<string> = new Set(['asn', 'company', 'carrier', 'privacy', 'abuse', 'domains'])

/**
 * Brings a record of IPASIS to IPinfo's form (both as in IPASIS's published examples): names within modules are
 * capitalised there (`asn.ASN`, `privacy.VPN`, `abuse.Email`), what is not known is an empty text or `null` instead of
 * absent, and `org` is left to be put together. Undefined for what is no record of an address.
 */
export function ipinfoRecord(record: unknown): IpinfoRecord | undefined {
  if (!isRecord(record) || typeof record['ip'] !== 'string') return undefined
  const known = new Map<string, unknown>()
  for (const [name, value] of Object.entries(record)) {
    const translated = moduleNames.has(name) && isRecord(value) ? moduleOf(value) : value
    if (!saysNothing(translated)) known.set(name, translated)
  }
  const org = known.get('org') ?? orgOf(known.get('asn'))
  if (org !== undefined) known.set('org', org)
  const first = firstFields.filter((name) => known.has(name))
  const rest = [...known.keys()].filter((name) => !first.includes(name))
  const ordered = [
    ...first,
    ...rest.filter((name) => !moduleNames.has(name)),
    ...rest.filter((name) => moduleNames.has(name)),
  ]
  return Object.fromEntries(ordered.map((name) => [name, known.get(name)]))
}

function moduleOf(module: Readonly<Record<string, unknown>>): IpinfoRecord {
  const renamed = Object.entries(module).map(([name, value]): [string, unknown] => [name.toLowerCase(), value])
  // The list of domains is the only one that there is.
  return Object.fromEntries(renamed.map(([name, value]) => [name, name === 'domains' ? (value ?? []) : value]))
}

/** As IPinfo writes it: `AS15169 Google LLC`. */
function orgOf(asn: unknown): string | undefined {
  if (!isRecord(asn)) return undefined
  const { asn: number, name } = asn
  return typeof number === 'string' && typeof name === 'string' && number !== '' && name !== ''
    ? `${number} ${name}`
    : undefined
}

/** `false` says something: that it is no proxy. */
function saysNothing(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0
  if (isRecord(value)) return Object.values(value).every(saysNothing)
  return value === '' || value === null || value === 0
}
