import { expect, test } from '@jest/globals'
import { IpSummary, type PartSummary } from './ip-summary.ts'

const summaryOf = (...added: readonly Parameters<IpSummary['add']>[]): unknown => {
  const summary = new IpSummary()
  for (const one of added) summary.add(...one)
  return JSON.parse(JSON.stringify(summary))
}

const google = { ip: '8.8.8.8', city: 'Mountain View', region: 'California', country: 'US', org: 'AS15169 Google LLC' }

test('counts what IPinfo counts, by its names; what is most is first', () => {
  const vodafone = {
    ip: '2.2.2.2',
    country: 'FR',
    asn: { asn: 'AS3215', name: 'Orange', type: 'isp', route: '2.2.0.0/16', domain: 'orange.fr' },
    company: { name: 'Orange', type: 'isp' },
    carrier: { name: 'Orange' },
    privacy: { vpn: true, proxy: false, hosting: true },
  }
  expect(
    summaryOf(
      ['2.2.2.2', vodafone],
      ['8.8.8.8', { ...google, anycast: true }, 2],
      ['10.0.0.1', { ip: '10.0.0.1', bogon: true }],
      ['2001:db8::1', undefined],
    ),
  ).toEqual({
    total: 5,
    unique: 4,
    countries: { US: 2, FR: 1 },
    cities: { 'Mountain View, California, US': 2 },
    regions: { California: 2 },
    asns: { 'AS15169 Google LLC': 2, 'AS3215 Orange': 1 },
    companies: { Orange: 1 },
    ipTypes: { isp: 1 },
    routes: { '2.2.0.0/16': 1 },
    carriers: { Orange: 1 },
    domains: { 'orange.fr': 1 },
    mobile: 1,
    privacy: { vpn: 1, proxy: 0, hosting: 1, relay: 0, tor: 0 },
    anycast: 2,
    bogon: 1,
  })
})

test.each([
  [
    'Lite',
    { asn: 'AS15169', as_name: 'Google LLC', as_domain: 'google.com', country_code: 'US', country: 'United States' },
  ],
  [
    'Core',
    {
      geo: { city: 'Mountain View', region: 'California', country: 'United States', country_code: 'US' },
      as: { asn: 'AS15169', name: 'Google LLC', domain: 'google.com', type: 'hosting' },
      is_anycast: true,
      is_hosting: true,
    },
  ],
])('reads records of %s', (_product, record) => {
  expect(summaryOf(['8.8.8.8', record])).toMatchObject({
    countries: { US: 1 },
    asns: { 'AS15169 Google LLC': 1 },
    domains: { 'google.com': 1 },
  })
})

test('parts make the summary of the whole, an address of several parts being one', () => {
  const added: Parameters<IpSummary['add']>[] = [
    ['8.8.8.8', google],
    ['255.255.255.255', undefined],
    ['2.2.2.2', { country: 'FR', carrier: { name: '__proto__' }, privacy: { vpn: true } }],
    ['2001:db8::1', { bogon: true }],
    ['8.8.8.8', { ...google, anycast: true }],
    ['0.0.0.1', { country: 'FR', city: '7' }],
    ['2001:db8::1', { bogon: true }],
    ['2.2.2.2', { country: 'FR', carrier: { name: '__proto__' }, privacy: { vpn: true } }],
  ]
  const whole = new IpSummary()
  for (const part of [added.slice(0, 3), added.slice(3, 6), added.slice(6)]) {
    const summary = new IpSummary()
    for (const one of part) summary.add(...one)
    whole.addPart(JSON.parse(JSON.stringify(summary.toPart())) as PartSummary)
  }
  expect(JSON.parse(JSON.stringify(whole))).toEqual(summaryOf(...added))
})
