/** Facts in the shapes of IPinfo's answers. What is not known is absent. */

import type { Facts, Place, Traits } from './facts.ts'

/** A record, or a module of it; the order of its members is IPinfo's. */
export type OfflineRecord = Readonly<Record<string, unknown>>

/** Which answer of IPinfo: the legacy record, that of Lite, that of Core and Plus, or a module of the legacy surface. */
export type RecordShape = keyof typeof shapes

const shapes = {
  legacy: (ip: string, facts: Facts) => ({
    ip,
    anycast: facts.traits?.is_anycast || undefined,
    ...legacyPlace(facts.place),
    org: orgOf(facts),
    postal: facts.place?.postal_code,
    timezone: facts.place?.timezone,
    asn: facts.network?.type === undefined ? undefined : facts.network,
    company: facts.company,
    carrier: facts.carrier,
    privacy: privacyOf(facts.traits),
  }),
  lite: (ip: string, { network, place }: Facts) => ({
    ip,
    asn: network?.asn,
    as_name: network?.name,
    as_domain: network?.domain,
    country_code: place?.country_code,
    country: place?.country,
    continent_code: place?.continent_code,
    continent: place?.continent,
  }),
  lookup: (ip: string, { network, place, carrier, traits }: Facts) => ({
    ip,
    geo: place,
    as: network && { asn: network.asn, name: network.name, domain: network.domain, type: network.type },
    mobile: carrier,
    anonymous: anonymousOf(traits),
    is_anonymous: traits?.is_anonymous,
    is_anycast: traits?.is_anycast,
    is_hosting: traits?.is_hosting,
    is_mobile: traits?.is_mobile,
    is_satellite: traits?.is_satellite,
  }),
  asn: (_: string, { network }: Facts) => network,
  company: (_: string, { company }: Facts) => company,
  carrier: (_: string, { carrier }: Facts) => carrier,
  privacy: (_: string, { traits }: Facts) => privacyOf(traits),
} as const satisfies Record<string, (ip: string, facts: Facts) => object | undefined>

/** Undefined where the facts hold nothing for that shape. */
export function recordIn(shape: RecordShape, ip: string, facts: Facts): OfflineRecord | undefined {
  const record = shapes[shape](ip, facts)
  if (record === undefined) return undefined
  const known = Object.entries(record).filter(([, value]) => value !== undefined)
  return known.some(([name]) => name !== 'ip') ? Object.fromEntries(known) : undefined
}

function legacyPlace(place: Place = {}) {
  const { city, region, country_code: country, latitude, longitude } = place
  return {
    city,
    region,
    country,
    loc: latitude === undefined || longitude === undefined ? undefined : `${latitude},${longitude}`,
  }
}

/** `AS15169 Google LLC` */
function orgOf({ network }: Facts): string | undefined {
  return network?.name === undefined ? undefined : `${network.asn} ${network.name}`
}

/** Whether a database tells of VPNs; one that tells of hosting alone has no such module. */
function privacyOf(traits: Traits | undefined) {
  if (traits?.is_vpn === undefined && traits?.is_proxy === undefined) return undefined
  const { is_vpn, is_proxy, is_tor, is_relay, is_hosting, service } = traits
  return {
    vpn: is_vpn ?? false,
    proxy: is_proxy ?? false,
    tor: is_tor ?? false,
    relay: is_relay ?? false,
    hosting: is_hosting ?? false,
    service: service ?? '',
  }
}

function anonymousOf(traits: Traits | undefined) {
  if (traits?.is_vpn === undefined && traits?.is_proxy === undefined) return undefined
  const { is_vpn, is_proxy, is_tor, is_relay } = traits
  return {
    is_proxy: is_proxy ?? false,
    is_relay: is_relay ?? false,
    is_tor: is_tor ?? false,
    is_vpn: is_vpn ?? false,
  }
}
