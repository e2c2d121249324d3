import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { readmeSection } from '@ipfleet/testing/readme-section.ts'
import { tarMember } from '@ipfleet/testing/tar-member.ts'
import { type MmdbValue, type TinyMmdb, tinyMmdb } from '@ipfleet/testing/tiny-mmdb.ts'
import { zipFile } from '@ipfleet/testing/zip-file.ts'
import { bundledOfflineDb, type OfflineDb, offlineDbOf, openMmdb } from './offline-db.ts'
import type { OfflineRecord, RecordShape } from './offline-record.ts'

let directory = ''
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'offline-'))
})
afterAll(() => rmSync(directory, { recursive: true }))

function written(name: string, bytes: Buffer): string {
  const path = join(directory, name)
  writeFileSync(path, bytes)
  return path
}

function openTiny(contents: TinyMmdb): OfflineDb {
  return offlineDbOf([openMmdb(written(`${contents.type}.mmdb`, tinyMmdb(contents)))])
}

/** Databases with one address each, together. */
function knowing(...records: MmdbValue[]): OfflineDb {
  const databases = records.map((record, at) => {
    const contents: TinyMmdb = { ipVersion: 6, type: `part ${at}`, records: [['9.0.0.1', record]] }
    return openMmdb(written(contents.type, tinyMmdb(contents)))
  })
  return offlineDbOf(databases)
}

describe('the bundled databases', () => {
  const db = bundledOfflineDb()

  test.each([
    ['8.8.8.8', 'US', 'AS15169 Google LLC'],
    ['2001:4860:4860::8888', 'US', 'AS15169 Google LLC'],
    ['208.80.154.224', 'US', 'AS14907 Wikimedia Foundation Inc.'],
  ])('know the country and the network of %s', (ip, country, org) => {
    expect(db.record('legacy', ip)).toEqual({ ip, country, org })
  })

  test('give a Lite record with names in the spelling of IPinfo', () => {
    expect(db.record('lite', '8.8.8.8')).toEqual({
      ip: '8.8.8.8',
      asn: 'AS15169',
      as_name: 'Google LLC',
      country_code: 'US',
      country: 'United States',
      continent_code: 'NA',
      continent: 'North America',
    })
  })

  test('give every country that they know a name and a continent, and know nearly every address', () => {
    const addresses = Array.from({ length: 224 * 64 }, (_, index) => `${index >> 6}.${(index & 63) << 2}.1.1`)
    const records = addresses.map((address) => db.record('lite', address) ?? {})
    expect(records.filter((record: OfflineRecord) => record['country_code'] !== undefined).length).toBeGreaterThan(
      14_000,
    )
    expect(records.filter((record: OfflineRecord) => record['as_name'] !== undefined).length).toBeGreaterThan(10_000)
    const nameless = records.filter(
      (record) => (record['country'] === undefined) !== (record['continent'] === undefined),
    )
    expect(nameless).toEqual([])
  })

  test('say what they are, and when they were built', () => {
    expect(db.type).toBe('country ipvAll + country-gaps + asn')
    expect(db.builtAt.getUTCFullYear()).toBeGreaterThan(2024)
  })
})

const ip = '9.0.0.1'
const sydney = { city: 'Sydney', region: 'New South Wales', country: 'AU', loc: '-33.86,151.2' }
const cloudflare = { asn: 'AS13335', name: 'Cloudflare, Inc.', domain: 'cloudflare.com' }
const org = 'AS13335 Cloudflare, Inc.'
const asnMembers = { asn: 'AS13335', as_name: 'Cloudflare, Inc.', as_domain: 'cloudflare.com' }
const placeMembers = {
  city: 'Sydney',
  region: 'New South Wales',
  region_code: 'NSW',
  country: 'Australia',
  country_code: 'AU',
  continent: 'Oceania',
  continent_code: 'OC',
  latitude: -33.86,
  longitude: 151.2,
  timezone: 'Australia/Sydney',
  postal_code: '1001',
}
const noPrivacy = { vpn: false, proxy: false, tor: false, relay: false, hosting: false, service: '' }
const names = (en: string): MmdbValue => ({ de: 'nicht dies', en })
const geoip2Country = {
  continent: { code: 'OC', names: names('Oceania') },
  country: { iso_code: 'AU', geoname_id: 2_077_456, names: names('Australia') },
  registered_country: { iso_code: 'US', names: names('United States') },
}
const geoip2City = {
  ...geoip2Country,
  city: { geoname_id: 2_147_714, names: names('Sydney') },
  subdivisions: [{ iso_code: 'NSW', names: names('New South Wales') }],
  location: { accuracy_radius: 5, latitude: -33.86, longitude: 151.2, time_zone: 'Australia/Sydney' },
  postal: { code: '1001' },
}
const legacyCity = { ip, ...sydney, postal: '1001', timezone: 'Australia/Sydney' }

/** What each maker's database says, and what of it the legacy record has, in IPinfo's order. */
const makers: readonly (readonly [name: string, raw: MmdbValue, legacy: object])[] = [
  ['IPinfo Lite', { ...asnMembers, country: 'Australia', country_code: 'AU' }, { ip, country: 'AU', org }],
  [
    'IPinfo Core',
    { ...asnMembers, as_type: 'hosting', ...placeMembers, is_anycast: true, is_hosting: true },
    {
      ip,
      anycast: true,
      ...sydney,
      org,
      postal: '1001',
      timezone: 'Australia/Sydney',
      asn: { ...cloudflare, type: 'hosting' },
    },
  ],
  [
    'IPinfo Plus',
    { ...asnMembers, ...placeMembers, is_vpn: true, is_proxy: false, is_tor: false, is_relay: false, is_hosting: true },
    {
      ip,
      ...sydney,
      org,
      postal: '1001',
      timezone: 'Australia/Sydney',
      privacy: { ...noPrivacy, vpn: true, hosting: true },
    },
  ],
  [
    'IPinfo standard_location',
    {
      city: 'Sydney',
      region: 'New South Wales',
      region_code: 'NSW',
      country: 'AU',
      lat: '-33.86',
      lng: '151.2',
      postal_code: '',
      timezone: '',
    },
    { ip, ...sydney },
  ],
  [
    'IPinfo extended_location',
    {
      city: 'Sydney',
      region: 'NSW',
      region_name: 'New South Wales',
      country: 'AU',
      country_name: 'Australia',
      latitude: '-33.86',
      longitude: '151.2',
    },
    { ip, ...sydney },
  ],
  ['IPinfo country_asn', { ...asnMembers, country: 'AU', country_name: 'Australia' }, { ip, country: 'AU', org }],
  [
    'IPinfo standard_asn',
    { ...cloudflare, type: 'hosting', route: '9.0.0.0/24', country: 'US' },
    { ip, country: 'US', org, asn: { ...cloudflare, route: '9.0.0.0/24', type: 'hosting' } },
  ],
  [
    'IPinfo standard_company',
    { ...asnMembers, as_type: 'hosting', name: 'APNIC', domain: 'apnic.net', type: 'business' },
    {
      ip,
      org,
      asn: { ...cloudflare, type: 'hosting' },
      company: { name: 'APNIC', domain: 'apnic.net', type: 'business' },
    },
  ],
  [
    'IPinfo carrier',
    { name: 'SoftBank', mcc: '440', mnc: '20', country: 'JP' },
    { ip, country: 'JP', carrier: { name: 'SoftBank', mcc: '440', mnc: '20' } },
  ],
  [
    'IPinfo standard_carrier',
    { carrier: 'Telstra', cc: 'AU', mcc: '505', mnc: '01' },
    { ip, country: 'AU', carrier: { name: 'Telstra', mcc: '505', mnc: '01' } },
  ],
  [
    'IPinfo privacy, texts',
    { hosting: 'true', proxy: '', relay: '', service: '', tor: '', vpn: '' },
    { ip, privacy: { ...noPrivacy, hosting: true } },
  ],
  [
    'IPinfo privacy',
    { hosting: false, proxy: false, relay: false, tor: false, vpn: true, service: 'x' },
    { ip, privacy: { ...noPrivacy, vpn: true, service: 'x' } },
  ],
  ['GeoLite2 Country', geoip2Country, { ip, country: 'AU' }],
  ['GeoIP2 City', geoip2City, legacyCity],
  [
    'GeoLite2 ASN',
    { autonomous_system_number: 13_335, autonomous_system_organization: 'Cloudflare, Inc.' },
    { ip, org },
  ],
  [
    'GeoIP2 Enterprise',
    { ...geoip2City, traits: { autonomous_system_number: 13_335, autonomous_system_organization: 'Cloudflare, Inc.' } },
    { ip, ...sydney, org, postal: '1001', timezone: 'Australia/Sydney' },
  ],
  ['GeoIP2 Anonymous-IP', { is_anonymous: true, is_anonymous_vpn: true }, { ip, privacy: { ...noPrivacy, vpn: true } }],
  [
    'DB-IP City Lite',
    { ...geoip2City, registered_country: {}, location: { latitude: -33.86, longitude: 151.2 } },
    { ip, ...sydney, postal: '1001' },
  ],
  ['IP2Location LITE', { country: { iso_code: 'AU', names: names('Australia') } }, { ip, country: 'AU' }],
  [
    'ip-location-db city',
    {
      city: 'Sydney',
      country_code: 'AU',
      latitude: -33.86,
      longitude: 151.2,
      postcode: '1001',
      state1: 'New South Wales',
      timezone: 'Australia/Sydney',
    },
    legacyCity,
  ],
]

test.each(makers)('a database as %s has it answers legacy records', (_, raw, expected) => {
  const record = knowing(raw).record('legacy', ip)
  expect(record).toEqual(expected)
  expect(Object.keys(record ?? {})).toEqual(Object.keys(expected))
})

/** What of a database is in which answer: the names of the members that it fills. */
function answersOf(raw: MmdbValue): readonly string[] {
  const db = knowing(raw)
  const members = (shape: RecordShape): string =>
    Object.keys(db.record(shape, ip) ?? {})
      .filter((name) => name !== 'ip')
      .join(', ')
  const modules = (['asn', 'company', 'carrier', 'privacy'] as const).filter((name) => db.record(name, ip))
  return [members('legacy'), members('lite'), members('lookup'), modules.join(', ')]
}

test('the README says which database answers what (UPDATE_README=1 npm test -- offline-db.test writes it)', () => {
  const rows = makers.map(([name, raw]) => `| ${[name, ...answersOf(raw)].join(' | ')} |\n`)
  const head =
    '| database | `/{ip}` | `/lite/{ip}` | `/lookup/{ip}` | `/{ip}/MODULE` |\n| --- | --- | --- | --- | --- |\n'
  const table = `\n${head}${rows.join('')}\n`
  const readme = new URL('../../../services/lookup/README.md', import.meta.url)
  expect(readmeSection({ readme, begin: 'databases', end: 'end of databases' }, table)).toBe(table)
})

test('a database with places answers records of Core, whatever its maker', () => {
  const expected = { ip, geo: placeMembers }
  expect(knowing(placeMembers).record('lookup', ip)).toEqual(expected)
  expect(knowing(geoip2City).record('lookup', ip)).toEqual(expected)
})

test('records of Core and Plus say what kind of address it is', () => {
  const raw = { ...asnMembers, as_type: 'isp', is_anycast: false, is_mobile: true, is_vpn: false, is_tor: true }
  expect(knowing(raw, { name: 'SoftBank', mcc: '440', mnc: '20' }).record('lookup', ip)).toEqual({
    ip,
    as: { ...cloudflare, type: 'isp' },
    mobile: { name: 'SoftBank', mcc: '440', mnc: '20' },
    anonymous: { is_proxy: false, is_relay: false, is_tor: true, is_vpn: false },
    is_anycast: false,
    is_mobile: true,
  })
})

test.each([
  ['asn', { ...cloudflare, type: 'isp' }],
  ['company', { name: 'APNIC', domain: 'apnic.net', type: 'business' }],
  ['carrier', { name: 'SoftBank', mcc: '440', mnc: '20' }],
  ['privacy', { ...noPrivacy, relay: true }],
] as const)('the module %s is answered by a database that has it', (module, expected) => {
  const raw = module === 'privacy' ? { vpn: false, relay: true } : expected
  expect(knowing(raw).record(module, ip)).toEqual(expected)
  expect(knowing({ country_code: 'AU' }).record(module, ip)).toBeUndefined()
})

describe('several databases', () => {
  test('answer together, the first before the others', () => {
    const db = knowing(
      { country_code: 'AU' },
      { ...cloudflare, name: 'Another' },
      { ...asnMembers, country_code: 'DE' },
    )
    expect(db.record('legacy', ip)).toEqual({ ip, country: 'AU', org: 'AS13335 Another' })
    expect(db.type).toBe('part 0 + part 1 + part 2')
  })

  test('add details to a place only if they mean the same country', () => {
    expect(knowing({ country_code: 'AU' }, placeMembers).record('legacy', ip)).toEqual(legacyCity)
    expect(knowing({ country_code: 'NZ' }, placeMembers).record('legacy', ip)).toEqual({ ip, country: 'NZ' })
  })
})

test('coordinates of 32 bits are shown as they were meant', () => {
  const raw = { country_code: 'US', latitude: Math.fround(37.422), longitude: Math.fround(-122.085) }
  expect(knowing(raw).record('legacy', ip)).toEqual({ ip, country: 'US', loc: '37.422,-122.085' })
})

test('a code that has no name is answered without one', () => {
  expect(knowing({ country_code: 'QX' }).record('lite', ip)).toEqual({ ip, country_code: 'QX' })
})

const isExpected = (path: string): void => {
  const db = offlineDbOf([openMmdb(path)])
  const found = ['9.0.0.1', '9.255.255.255', '8.8.8.8', '8.8.8.9', '2001:db8:1::1', '2001:db8:8000::'].map(
    (address) => db.record('legacy', address)?.['country'],
  )
  expect(found).toEqual(['DE', 'DE', 'US', undefined, 'FR', undefined])
}

describe('every form of the file is read alike', () => {
  const contents: TinyMmdb = {
    ipVersion: 6,
    type: 'forms',
    records: [
      ['9.0.0.0/8', { country_code: 'DE' }],
      ['8.8.8.8/32', { country_code: 'US' }],
      ['2001:db8::/33', { country_code: 'FR' }],
    ],
  }
  test.each([24, 28, 32] as const)('records of %i bits', (recordSize) => {
    isExpected(written(`bits-${recordSize}`, tinyMmdb({ ...contents, recordSize })))
    isExpected(written(`aliased-${recordSize}`, tinyMmdb({ ...contents, recordSize, aliased: true })))
  })

  test('IPv4 networks below ::ffff:0:0/96 alone', () => {
    const records = [['::ffff:900:0/104', { country_code: 'DE' }]] as const
    const db = openTiny({ ipVersion: 6, type: 'mapped', records })
    expect(db.record('legacy', '9.1.2.3')).toEqual({ ip: '9.1.2.3', country: 'DE' })
  })

  test('packed as it was downloaded, whatever its name', () => {
    const plain = tinyMmdb(contents)
    isExpected(written('packed.mmdb', gzipSync(plain)))
    isExpected(written('packed', zstdCompressSync(plain)))
    const member = tarMember('GeoLite2_20260601/GeoLite2.mmdb', plain)
    const licence = tarMember('GeoLite2_20260601/LICENSE.txt', Buffer.from('text'))
    isExpected(written('packed.tar.gz', gzipSync(Buffer.concat([licence, member, Buffer.alloc(1024)]))))
    const zipped = { name: 'IP2LOCATION-LITE-DB1.MMDB', content: plain }
    const readme = { name: 'README.TXT', content: 'text' }
    isExpected(written('packed.zip', zipFile([readme, zipped])))
    const several = written('wrong.zip', zipFile([zipped, { ...zipped, name: 'b.mmdb' }]))
    expect(() => openMmdb(several)).toThrow(/wrong\.zip holds 2 files \.mmdb; it has to be one$/)
    for (const bytes of [
      zipFile([{ ...zipped, checksum: 1 }]),
      zipFile([zipped]).subarray(0, -30),
      Buffer.from('PK\u0003\u0004'),
    ]) {
      expect(() => openMmdb(written('broken.zip', bytes))).toThrow(/broken\.zip cannot be read: it is no whole MMDB$/)
    }
    for (const members of [[licence], [member, member]]) {
      const path = written('wrong.tar.gz', gzipSync(Buffer.concat([...members, Buffer.alloc(1024)])))
      expect(() => openMmdb(path)).toThrow(/wrong\.tar\.gz holds [02] files \.mmdb; it has to be one$/)
    }
  })

  test('of IPv4 alone, which knows nothing of IPv6 addresses, not even of those that begin with the same bits', () => {
    const db = openTiny({ ipVersion: 4, type: 'v4', records: [['32.1.13.184', { country_code: 'DE' }]] })
    expect(db.record('legacy', '32.1.13.184')).toEqual({ ip: '32.1.13.184', country: 'DE' })
    expect(db.record('legacy', '2001:db8::1')).toBeUndefined()
  })
})

test('an open database cannot be changed, and opening a newer one leaves it as it is', () => {
  const contents = { ipVersion: 6, type: 'reopened' } as const
  const older = openTiny({ ...contents, records: [['9.0.0.1', { country_code: 'DE' }]] })
  const newer = openTiny({ ...contents, records: [['9.0.0.1', { country_code: 'FR' }]] })
  expect([older, newer].map((db) => db.record('legacy', ip)?.['country'])).toEqual(['DE', 'FR'])
  expect(Object.isFrozen(older)).toBe(true)
})

describe('opening fails, and the error names the file, when it', () => {
  test('is missing', () => {
    expect(() => openMmdb(join(directory, 'missing.mmdb'))).toThrow(/missing\.mmdb cannot be read \(ENOENT\)$/)
  })

  test.each([
    ['empty', Buffer.alloc(0)],
    ['text', Buffer.from('<html>not found</html>')],
    ['zeros', Buffer.alloc(10_000)],
    ['half a gzip', gzipSync(Buffer.alloc(10_000, 'x')).subarray(0, 30)],
  ])('is no MMDB (%s)', (name, bytes) => {
    const path = written(name, bytes)
    expect(() => openMmdb(path)).toThrow(`${path} cannot be read: it is no whole MMDB`)
  })

  test('was cut off', () => {
    const whole = tinyMmdb({ ipVersion: 6, type: 'cut', records: [['8.8.8.8', { country_code: 'US' }]] })
    const path = written('cut', whole.subarray(0, whole.length - 60))
    expect(() => openMmdb(path)).toThrow(`${path} cannot be read: it is no whole MMDB`)
  })

  test('holds nothing that is needed', () => {
    const contents = { ipVersion: 6, type: 'domains', records: [['8.8.8.8', { domain: 'dns.google' }]] } as const
    expect(() => openTiny(contents)).toThrow(/domains\.mmdb \(domains\) has nothing about countries.*only: domain$/)
  })
})
