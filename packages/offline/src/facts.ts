/** What databases of all makers say about an address, brought to one form. */

import { isRecord } from '@ipfleet/core/json.ts'
import { countries } from './countries.ts'

/** A record as the database holds it: fields of any kind under any name. */
export type RawRecord = Readonly<Record<string, unknown>>

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

export interface Facts {
  readonly place?: Place
  readonly network?: Network
  readonly company?: Company
  readonly carrier?: Carrier
  readonly traits?: Traits
}

/** How a fact is read, and the paths at which makers have it; the first that holds one counts. */
interface FactAt<Value> {
  readonly read: (value: unknown) => Value | undefined
  readonly paths: readonly (readonly string[])[]
}

const fact = <Value>(read: FactAt<Value>['read'], ...paths: readonly string[]): FactAt<Value> => ({
  read,
  paths: paths.map((path) => path.split('.')),
})

type FactTable = Readonly<Record<string, FactAt<unknown>>>
type ToldBy<Table extends FactTable> = { readonly [Name in keyof Table]: ReturnType<Table[Name]['read']> }
type Known<Table extends FactTable> = { readonly [Name in keyof Table]?: NonNullable<ToldBy<Table>[Name]> }

/*
 * Paths of IPinfo are from its sample databases (github.com/ipinfo/sample-database), those with dots from MaxMind's
 * GeoIP2 (dev.maxmind.com/geoip/docs/databases), which DB-IP and IP2Location follow; `state1`, `postcode` and
 * `autonomous_system_*` are ip-location-db's.
 */

export type Place = Known<typeof placeFacts>
const placeFacts = {
  city: fact(textIn, 'city', 'city.names.en'),
  region: fact(textIn, 'region_name', 'region', 'subdivisions.0.names.en', 'state1'),
  region_code: fact(textIn, 'region_code', 'subdivisions.0.iso_code'),
  country: fact(nameIn, 'country_name', 'country.names.en', 'country', 'registered_country.names.en'),
  /** ISO 3166-1 alpha-2. */
  country_code: fact(codeIn, 'country_code', 'country.iso_code', 'country', 'cc', 'registered_country.iso_code'),
  continent: fact(nameIn, 'continent_name', 'continent.names.en', 'continent'),
  continent_code: fact(codeIn, 'continent_code', 'continent.code', 'continent'),
  latitude: fact(degreesIn, 'latitude', 'lat', 'location.latitude'),
  longitude: fact(degreesIn, 'longitude', 'lng', 'location.longitude'),
  timezone: fact(textIn, 'timezone', 'location.time_zone'),
  postal_code: fact(textIn, 'postal_code', 'postcode', 'postal.code'),
}

/** True or false where a database tells, which may be of some only. */
export type Traits = Known<typeof traitFacts>
const traitFacts = {
  is_anonymous: fact(booleanIn, 'is_anonymous', 'traits.is_anonymous'),
  is_anycast: fact(booleanIn, 'is_anycast', 'anycast', 'traits.is_anycast'),
  is_hosting: fact(booleanIn, 'is_hosting', 'hosting', 'is_hosting_provider', 'traits.is_hosting_provider'),
  is_mobile: fact(booleanIn, 'is_mobile'),
  is_satellite: fact(booleanIn, 'is_satellite', 'traits.is_satellite_provider'),
  is_proxy: fact(booleanIn, 'is_proxy', 'proxy', 'is_public_proxy', 'traits.is_public_proxy'),
  is_relay: fact(booleanIn, 'is_relay', 'relay'),
  is_tor: fact(booleanIn, 'is_tor', 'tor', 'is_tor_exit_node', 'traits.is_tor_exit_node'),
  is_vpn: fact(booleanIn, 'is_vpn', 'vpn', 'is_anonymous_vpn', 'traits.is_anonymous_vpn'),
  /** Of the VPN or proxy. */
  service: fact(textIn, 'service', 'vpn_name'),
}

const networkFacts = {
  asn: fact(asnIn, 'asn', 'autonomous_system_number', 'traits.autonomous_system_number'),
  name: fact(textIn, 'as_name', 'autonomous_system_organization', 'traits.autonomous_system_organization'),
}

const carrierFacts = {
  mcc: fact(textIn, 'mcc', 'traits.mobile_country_code'),
  mnc: fact(textIn, 'mnc', 'traits.mobile_network_code'),
}

/** What a record tells; undefined when none of its fields is known here. */
export function factsOf(raw: RawRecord): Facts | undefined {
  const facts = withoutGaps({
    place: placeOf(raw),
    network: networkOf(raw),
    company: companyOf(raw),
    carrier: carrierOf(raw),
    traits: ifAny(told(raw, traitFacts)),
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
  const place = told(raw, placeFacts)
  const table = place.country_code === undefined ? undefined : countries().get(place.country_code)
  return ifAny({
    ...place,
    // Where there is a name besides, `region` is the code.
    region_code: place.region_code ?? ('region_name' in raw ? textIn(raw['region']) : undefined),
    country: place.country ?? table?.country,
    continent: place.continent ?? table?.continent,
    continent_code: place.continent_code ?? table?.continent_code,
  })
}

function networkOf(raw: RawRecord): Network | undefined {
  const { asn, name } = told(raw, networkFacts)
  if (asn === undefined) return undefined
  // IPinfo's databases of networks alone have no `as_` before the names.
  const prefix = 'as_name' in raw ? 'as_' : ''
  return withoutGaps({
    asn,
    name: name ?? textIn(raw[`${prefix}name`]),
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
  const { mcc, mnc } = told(raw, carrierFacts)
  if (mcc === undefined) return undefined
  const name = textIn(raw['name']) ?? textIn(raw['carrier']) ?? textIn(raw['carrier_name'])
  return withoutGaps({ name, mcc, mnc })
}

function told<Table extends FactTable>(raw: RawRecord, table: Table): ToldBy<Table> {
  const facts: Record<string, unknown> = {}
  for (const name in table) facts[name] = table[name] && valueAt(raw, table[name])
  return facts as ToldBy<Table>
}

function valueAt<Value>(raw: RawRecord, { read, paths }: FactAt<Value>): Value | undefined {
  for (const path of paths) {
    const value = read(path.reduce<unknown>(memberOf, raw))
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
