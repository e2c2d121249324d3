import type { Plan } from './plans.ts'
import { hash, pick, type Subject } from './subject.ts'

/** What a plan adds to the legacy record: a higher rank has all of the lower ones. */
const planRank: Readonly<Record<Plan, number>> = {
  lite: 0,
  free: 0,
  basic: 1,
  core: 1,
  standard: 2,
  plus: 2,
  business: 3,
  max: 3,
}

export const legacyFields = [
  'ip',
  'hostname',
  'city',
  'region',
  'country',
  'loc',
  'postal',
  'timezone',
  'org',
] as const satisfies readonly (keyof LegacyRecord)[]

interface LegacyRecord {
  readonly ip: string
  readonly hostname?: string
  readonly anycast?: true
  readonly city: string
  readonly region: string
  readonly country: string
  readonly loc: string
  readonly org: string
  readonly postal?: string
  readonly timezone: string
}

/** The record of ipinfo.io, without what a plan adds. Fields that are not known are absent. */
export function legacyRecord(subject: Subject): LegacyRecord {
  const { place, operator } = subject
  return {
    ip: subject.ip,
    ...(subject.hostname !== undefined && { hostname: subject.hostname }),
    ...(subject.isAnycast && { anycast: true }),
    city: place.city,
    region: place.region,
    country: place.countryCode,
    loc: `${place.latitude.toFixed(4)},${place.longitude.toFixed(4)}`,
    org: `AS${operator.asn} ${operator.name}`,
    ...(place.postal !== undefined && { postal: place.postal }),
    timezone: place.timezone,
  }
}

/** `/geo`: the place alone. */
export function geoRecord(subject: Subject): object {
  const { hostname: _hostname, anycast: _anycast, org: _org, ...geo } = legacyRecord(subject)
  return geo
}

/** The record with the modules of the plan. */
export function planRecord(subject: Subject, plan: Plan = 'free'): object {
  const record = legacyRecord(subject)
  const rank = planRank[plan]
  if (rank === 0) return record
  return {
    ...record,
    asn: modules.asn(subject),
    ...(rank >= planRank.standard && { privacy: modules.privacy(subject) }),
    ...(rank >= planRank.business && {
      company: modules.company(subject),
      ...(subject.carrier !== undefined && { carrier: subject.carrier }),
      abuse: modules.abuse(subject),
      domains: modules.domains(subject),
    }),
  }
}

/** The JSON modules of `/{ip}/{module}`. One that knows nothing of the address answers `{}`. */
export const modules = {
  asn: ({ operator, network }: Subject) => ({
    asn: `AS${operator.asn}`,
    name: operator.name,
    domain: operator.domain,
    route: network,
    type: operator.type,
  }),
  company: ({ operator }: Subject) => ({ name: operator.name, domain: operator.domain, type: operator.type }),
  carrier: ({ carrier }: Subject) => carrier ?? {},
  privacy,
  privacy_extended: (subject: Subject) => ({
    ...privacy(subject),
    confidence: (subject.dice % 3) + 1,
    coverage: 1,
    census: false,
    census_ports: [],
    device_activity: false,
    inferred: false,
    vpn_config: subject.service !== undefined,
    whois: false,
    first_seen: '2025-09-19',
    last_seen: '2025-11-06',
  }),
  abuse: ({ operator, network, place }: Subject) => ({
    address: `${place.countryCode}, ${place.region}, ${place.city}`,
    country: operator.countryCode,
    email: `abuse@${operator.domain}`,
    name: 'Abuse',
    network,
    phone: '+1-650-253-0000',
  }),
  domains: (subject: Subject) => {
    const total = domainTotal(subject)
    return { ip: subject.ip, total, domains: domainNames(subject, 0, Math.min(total, 5)) }
  },
  resproxy: (subject: Subject) =>
    subject.residentialProxy === undefined
      ? {}
      : {
          ip: subject.ip,
          last_seen: '2025-06-24',
          percent_days_seen: (subject.dice % 100) + 1,
          service: subject.residentialProxy,
        },
} as const satisfies Record<string, (subject: Subject) => object>

function privacy({ service, operator, dice }: Subject): object {
  return {
    vpn: service !== undefined,
    proxy: false,
    tor: dice % 97 === 0,
    relay: false,
    hosting: operator.type === 'hosting',
    service: service ?? '',
  }
}

/** How many domains point at the address: 0 … 2999. */
export function domainTotal(subject: Subject): number {
  return subject.dice % 3000
}

/** The domains number `from` … `to - 1` of the address. */
export function domainNames(subject: Subject, from: number, to: number): string[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, at) => {
    const dice = hash(`${subject.ip}/${from + at}`)
    return `${pick(['shop', 'blog', 'mail', 'cdn', 'app'], dice)}-${dice.toString(36)}.${pick(['com', 'net', 'org'], dice >>> 4)}`
  })
}
