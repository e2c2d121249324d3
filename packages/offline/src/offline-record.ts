/** What the known kinds of country databases say about an address, brought to one form. */

import { countries } from './countries.ts'

/** A record as the database holds it: fields of any kind under any name. */
export type RawRecord = Readonly<Record<string, unknown>>

/** What is known about an address, under the names of IPinfo Lite and in its order. What is not known is absent. */
export interface Facts {
  /** With its letters: `AS15169`. */
  readonly asn?: string
  readonly as_name?: string
  readonly as_domain?: string
  /** ISO 3166-1 alpha-2. */
  readonly country_code?: string
  readonly country?: string
  readonly continent_code?: string
  readonly continent?: string
}

/** IPinfo's legacy record with the fields that an offline database may have. */
export interface LegacyRecord {
  readonly ip: string
  /** Two letters. */
  readonly country?: string
  /** `AS15169 Google LLC` */
  readonly org?: string
}

/** IPinfo's Lite record, in its order; `country` is the name here. */
export interface LiteRecord extends Facts {
  readonly ip: string
}

/**
 * Reads three layouts, told apart by the fields of the record itself:
 * - IPinfo Lite: `country_code`, `country` (name), `continent_code`, `continent` (name), `asn`, `as_name`, `as_domain`
 * - IPinfo country_asn, the layout before 2025: `country` (code), `country_name`, `continent` (code),
 *   `continent_name`, and the same three for the network
 * - iptoasn-country, the bundled one: `country_code` alone; names and continent come from our own table
 *
 * `undefined` when the record has neither a country nor a network.
 */
export function factsOf(raw: RawRecord): Facts | undefined {
  const isCountryAsn = 'country_name' in raw
  const code = textOf(raw[isCountryAsn ? 'country' : 'country_code'])
  const asn = textOf(raw['asn'])
  if (code === undefined && asn === undefined) return undefined
  const table = code === undefined ? undefined : countries.get(code)
  return withoutGaps({
    asn,
    as_name: textOf(raw['as_name']),
    as_domain: textOf(raw['as_domain']),
    country_code: code,
    country: textOf(raw[isCountryAsn ? 'country_name' : 'country']) ?? table?.country,
    continent_code: textOf(raw[isCountryAsn ? 'continent' : 'continent_code']) ?? table?.continent_code,
    continent: textOf(raw[isCountryAsn ? 'continent_name' : 'continent']) ?? table?.continent,
  })
}

/** IPinfo's databases have an empty text where a value is unknown. */
function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

function withoutGaps(facts: { readonly [Field in keyof Facts]-?: Facts[Field] | undefined }): Facts {
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined))
}

/** The legacy record: `{ ip, country, org }`, in IPinfo's order, without what is not known. */
export function legacyRecord(ip: string, { country_code: country, asn, as_name: name }: Facts): LegacyRecord {
  return {
    ip,
    ...(country === undefined ? {} : { country }),
    ...(asn === undefined || name === undefined ? {} : { org: `${asn} ${name}` }),
  }
}
