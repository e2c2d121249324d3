import { continents, countries } from './gazetteer.ts'
import type { Subject } from './subject.ts'

/** The newer products of api.ipinfo.io, each as its record of a subject. */
export const products = {
  lite: ({ ip, operator, place }: Subject) => {
    const country = countryOf(place.countryCode)
    return {
      ip,
      asn: `AS${operator.asn}`,
      as_name: operator.name,
      as_domain: operator.domain,
      country_code: place.countryCode,
      country: country.name,
      continent_code: country.continent,
      continent: continents[country.continent],
    }
  },
  lookup: (subject: Subject) => ({
    ip: subject.ip,
    ...(subject.hostname !== undefined && { hostname: subject.hostname }),
    geo: geo(subject),
    as: autonomousSystem(subject),
    ...flags(subject),
  }),
  plus,
  max,
} as const satisfies Record<string, (subject: Subject) => object>

export type Product = keyof typeof products

export function isProduct(name: string | undefined): name is Product {
  return name !== undefined && Object.hasOwn(products, name)
}

function plus(subject: Subject): object {
  return {
    ip: subject.ip,
    ...(subject.hostname !== undefined && { hostname: subject.hostname }),
    geo: { ...geo(subject), ...geoDetails(subject) },
    as: { ...autonomousSystem(subject), last_changed: '2025-09-28' },
    mobile: subject.carrier ?? {},
    anonymous: anonymous(subject),
    ...flags(subject),
  }
}

function max(subject: Subject): object {
  const { residentialProxy, service, dice } = subject
  const seen = { name: residentialProxy, last_seen: '2026-03-29', percent_days_seen: (dice % 100) + 1 }
  return {
    ...plus(subject),
    anonymous: {
      ...anonymous(subject),
      ...(residentialProxy !== undefined && seen),
      is_res_proxy: residentialProxy !== undefined,
    },
    is_anonymous: service !== undefined || residentialProxy !== undefined,
  }
}

function geo({ place }: Subject): object {
  const country = countryOf(place.countryCode)
  return {
    city: place.city,
    region: place.region,
    region_code: place.regionCode,
    country: country.name,
    country_code: place.countryCode,
    continent: continents[country.continent],
    continent_code: country.continent,
    latitude: place.latitude,
    longitude: place.longitude,
    timezone: place.timezone,
    ...(place.postal !== undefined && { postal_code: place.postal }),
  }
}

function geoDetails({ place, dice }: Subject): object {
  return {
    ...(place.countryCode === 'US' && { dma_code: '501' }),
    geoname_id: place.geonameId,
    radius: [5, 10, 50, 100][dice % 4],
    last_changed: '2025-09-21',
  }
}

function autonomousSystem({ operator }: Subject): object {
  return { asn: `AS${operator.asn}`, name: operator.name, domain: operator.domain, type: operator.type }
}

function anonymous({ service, dice }: Subject): object {
  return {
    ...(service !== undefined && { name: service }),
    is_proxy: false,
    is_relay: false,
    is_tor: dice % 97 === 0,
    is_vpn: service !== undefined,
  }
}

function flags({ service, isAnycast, operator, carrier }: Subject): object {
  return {
    is_anonymous: service !== undefined,
    is_anycast: isAnycast,
    is_hosting: operator.type === 'hosting',
    is_mobile: carrier !== undefined,
    is_satellite: false,
  }
}

function countryOf(code: string): { readonly name: string; readonly continent: string } {
  return countries[code] ?? { name: code, continent: 'EU' }
}
