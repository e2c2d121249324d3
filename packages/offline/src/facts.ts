/** What databases of all makers say about an address, brought to one form. */

import { isRecord } from '@ipfleet/core/json.ts'
import { countries } from './countries.ts'

/** A record as the database holds it: fields of any kind under any name. */
export type RawRecord = Readonly<Record<string, unknown>>

/** Where an address is. */
export interface Place {
  readonly city?: string
  readonly region?: string
  readonly region_code?: string
  readonly country?: string
  /** ISO 3166-1 alpha-2. */
  readonly country_code?: string
  readonly continent?: string
  readonly continent_code?: string
  readonly latitude?: number
  readonly longitude?: number
  readonly timezone?: string
  readonly postal_code?: string
}

/** The autonomous system that announces it. */
export interface Network {
  /** With its letters: `AS15169`. */
  readonly asn: string
  readonly name?: string
  readonly domain?: string
  readonly route?: string
  readonly type?: string
}

export interface Company {
  readonly name: string
  readonly domain?: string
  readonly type?: string
}

export interface Carrier {
  readonly name?: string
  readonly mcc?: string
  readonly mnc?: string
}

/** True or false where a database tells, which may be of some only. */
export interface Traits {
  readonly is_anonymous?: boolean
  readonly is_anycast?: boolean
  readonly is_hosting?: boolean
  readonly is_mobile?: boolean
  readonly is_satellite?: boolean
  readonly is_proxy?: boolean
  readonly is_relay?: boolean
  readonly is_tor?: boolean
  readonly is_vpn?: boolean
  /** Of the VPN or proxy. */
  readonly service?: string
}

export interface Facts {
  readonly place?: Place
  readonly network?: Network
  readonly company?: Company
  readonly carrier?: Carrier
  readonly traits?: Traits
}

/**
 * The paths at which makers have a fact; the first that holds one counts. IPinfo's are from its sample databases
 * (github.com/ipinfo/sample-database), those with dots from MaxMind's GeoIP2 (dev.maxmind.com/geoip/docs/databases),
 * which DB-IP and IP2Location follow; `state1`, `postcode` and `autonomous_system_*` are ip-location-db's.
 */
const paths = {
  city: ['city', 'city.names.en'],
  region: ['region_name', 'region', 'subdivisions.0.names.en', 'state1'],
  region_code: ['region_code', 'subdivisions.0.iso_code'],
  country: ['country_name', 'country.names.en', 'country', 'registered_country.names.en'],
  country_code: ['country_code', 'country.iso_code', 'country', 'cc', 'registered_country.iso_code'],
  continent: ['continent_name', 'continent.names.en', 'continent'],
  continent_code: ['continent_code', 'continent.code', 'continent'],
  latitude: ['latitude', 'lat', 'location.latitude'],
  longitude: ['longitude', 'lng', 'location.longitude'],
  timezone: ['timezone', 'location.time_zone'],
  postal_code: ['postal_code', 'postcode', 'postal.code'],
  asn: ['asn', 'autonomous_system_number', 'traits.autonomous_system_number'],
  as_name: ['as_name', 'autonomous_system_organization', 'traits.autonomous_system_organization'],
  mcc: ['mcc', 'traits.mobile_country_code'],
  mnc: ['mnc', 'traits.mobile_network_code'],
  is_anonymous: ['is_anonymous', 'traits.is_anonymous'],
  is_anycast: ['is_anycast', 'anycast', 'traits.is_anycast'],
  is_hosting: ['is_hosting', 'hosting', 'is_hosting_provider', 'traits.is_hosting_provider'],
  is_mobile: ['is_mobile'],
  is_satellite: ['is_satellite', 'traits.is_satellite_provider'],
  is_proxy: ['is_proxy', 'proxy', 'is_public_proxy', 'traits.is_public_proxy'],
  is_relay: ['is_relay', 'relay'],
  is_tor: ['is_tor', 'tor', 'is_tor_exit_node', 'traits.is_tor_exit_node'],
  is_vpn: ['is_vpn', 'vpn', 'is_anonymous_vpn', 'traits.is_anonymous_vpn'],
  service: ['service', 'vpn_name'],
} as const

type Fact = keyof typeof paths

/** The paths as the names on them: every look-up takes most of these. */
const namesOf = Object.fromEntries(
  Object.entries(paths).map(([fact, all]) => [fact, all.map((path) => path.split('.'))]),
) as unknown as Readonly<Record<Fact, readonly (readonly string[])[]>>

/** What a record tells; undefined when none of its fields is known here. */
export function factsOf(raw: RawRecord): Facts | undefined {
  const facts = withoutGaps({
    place: placeOf(raw),
    network: networkOf(raw),
    company: companyOf(raw),
    carrier: carrierOf(raw),
    traits: traitsOf(raw),
  })
  return Object.keys(facts).length === 0 ? undefined : facts
}

/**
 * What several databases tell together: each fact is of the first that has it. Of a place, the details of a later one
 * count only if both name the same country, and of a network, if both name the same number.
 */
export function merged(first: Facts | undefined, second: Facts | undefined): Facts | undefined {
  if (first === undefined || second === undefined) return first ?? second
  return {
    ...second,
    ...first,
    ...both('place', first.place, second.place, 'country_code'),
    ...both('network', first.network, second.network, 'asn'),
    ...(first.traits && second.traits && { traits: { ...second.traits, ...first.traits } }),
  }
}

function both<Name extends string, Group extends object>(
  name: Name,
  first: Group | undefined,
  second: Group | undefined,
  by: keyof Group,
): { [Key in Name]?: Group } {
  const isSame = first && second && (first[by] === undefined || second[by] === undefined || first[by] === second[by])
  return isSame ? ({ [name]: { ...second, ...first } } as { [Key in Name]?: Group }) : {}
}

function placeOf(raw: RawRecord): Place | undefined {
  const code = factIn(raw, 'country_code', codeIn)
  const table = code === undefined ? undefined : countries().get(code)
  // Where there is a name besides, `region` is the code.
  const regionCode = factIn(raw, 'region_code', textIn) ?? ('region_name' in raw ? textIn(raw['region']) : undefined)
  return ifAny({
    city: factIn(raw, 'city', textIn),
    region: factIn(raw, 'region', textIn),
    region_code: regionCode,
    country: factIn(raw, 'country', nameIn) ?? table?.country,
    country_code: code,
    continent: factIn(raw, 'continent', nameIn) ?? table?.continent,
    continent_code: factIn(raw, 'continent_code', codeIn) ?? table?.continent_code,
    latitude: factIn(raw, 'latitude', degreesIn),
    longitude: factIn(raw, 'longitude', degreesIn),
    timezone: factIn(raw, 'timezone', textIn),
    postal_code: factIn(raw, 'postal_code', textIn),
  })
}

function networkOf(raw: RawRecord): Network | undefined {
  const asn = factIn(raw, 'asn', asnIn)
  if (asn === undefined) return undefined
  // IPinfo's databases of networks alone have no `as_` before the names.
  const prefix = 'as_name' in raw ? 'as_' : ''
  return withoutGaps({
    asn,
    name: factIn(raw, 'as_name', textIn) ?? textIn(raw[`${prefix}name`]),
    domain: textIn(raw[`${prefix}domain`]),
    route: textIn(raw['route']),
    type: textIn(raw[`${prefix}type`]),
  })
}

function companyOf(raw: RawRecord): Company | undefined {
  const isOther = ('asn' in raw && !('as_name' in raw)) || 'mcc' in raw
  const name = isOther ? undefined : textIn(raw['name'])
  if (name === undefined) return undefined
  return withoutGaps({ name, domain: textIn(raw['domain']), type: textIn(raw['type']) })
}

function carrierOf(raw: RawRecord): Carrier | undefined {
  const mcc = factIn(raw, 'mcc', textIn)
  if (mcc === undefined) return undefined
  const name = textIn(raw['name']) ?? textIn(raw['carrier']) ?? textIn(raw['carrier_name'])
  return withoutGaps({ name, mcc, mnc: factIn(raw, 'mnc', textIn) })
}

function traitsOf(raw: RawRecord): Traits | undefined {
  const told = (name: Fact): boolean | undefined => factIn(raw, name, booleanIn)
  return ifAny({
    is_anonymous: told('is_anonymous'),
    is_anycast: told('is_anycast'),
    is_hosting: told('is_hosting'),
    is_mobile: told('is_mobile'),
    is_satellite: told('is_satellite'),
    is_proxy: told('is_proxy'),
    is_relay: told('is_relay'),
    is_tor: told('is_tor'),
    is_vpn: told('is_vpn'),
    service: factIn(raw, 'service', textIn),
  })
}

function factIn<Value>(raw: RawRecord, fact: Fact, read: (value: unknown) => Value | undefined): Value | undefined {
  for (const names of namesOf[fact]) {
    const value = read(names.reduce<unknown>(memberOf, raw))
    if (value !== undefined) return value
  }
  return undefined
}

function memberOf(value: unknown, name: string): unknown {
  if (Array.isArray(value)) return (value as readonly unknown[])[Number(name)]
  return isRecord(value) ? value[name] : undefined
}

/** IPinfo's databases have an empty text where a value is unknown. */
function textIn(value: unknown): string | undefined {
  if (typeof value === 'number') return String(value)
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** Makers have two-letter codes and names under the same field. */
const isCode = (text: string): boolean => /^[A-Z]{2}$/.test(text)

function codeIn(value: unknown): string | undefined {
  const text = textIn(value)
  return text !== undefined && isCode(text) ? text : undefined
}

function nameIn(value: unknown): string | undefined {
  const text = textIn(value)
  return text !== undefined && !isCode(text) ? text : undefined
}

/** Some makers have 32-bit numbers, which JavaScript shows with 17 digits. Five decimals are a metre. */
function degreesIn(value: unknown): number | undefined {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  return typeof number === 'number' && Number.isFinite(number) ? Math.round(number * 1e5) / 1e5 : undefined
}

function asnIn(value: unknown): string | undefined {
  const digits = /^(?:AS)?(\d+)$/i.exec(textIn(value) ?? '')?.[1]
  return digits === undefined ? undefined : `AS${digits}`
}

/** IPinfo's older databases of privacy have texts: `true`, and `false` or nothing. */
function booleanIn(value: unknown): boolean | undefined {
  if (typeof value === 'boolean') return value
  if (value === 'true') return true
  return value === 'false' || value === '' ? false : undefined
}

function ifAny<Group extends object>(group: { readonly [Name in keyof Group]-?: Group[Name] | undefined }) {
  const known = withoutGaps(group)
  return Object.keys(known).length === 0 ? undefined : known
}

function withoutGaps<Group extends object>(group: Group): { [Name in keyof Group]: Exclude<Group[Name], undefined> } {
  const known: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(group)) if (value !== undefined) known[name] = value
  return known as { [Name in keyof Group]: Exclude<Group[Name], undefined> }
}
