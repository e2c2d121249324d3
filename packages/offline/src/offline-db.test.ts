import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type TinyMmdb, tinyMmdb } from '@ipfleet/testing/tiny-mmdb.ts'
import { openOfflineDb } from './offline-db.ts'

let directory = ''
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'offline-'))
})
afterAll(() => rmSync(directory, { recursive: true }))

function openTiny(contents: TinyMmdb) {
  const path = join(directory, `${contents.type}.mmdb`)
  writeFileSync(path, tinyMmdb(contents))
  return openOfflineDb({ path })
}

describe('the bundled database', () => {
  const db = openOfflineDb()

  test('knows the country of an address of either family, and only that', () => {
    expect(db.lookup('8.8.8.8')).toEqual({ ip: '8.8.8.8', country: 'US' })
    expect(db.lookup('2001:4860:4860::8888')).toEqual({ ip: '2001:4860:4860::8888', country: 'US' })
  })

  test('gives a Lite record with names in the spelling of IPinfo, and no network', () => {
    expect(db.liteRecord('8.8.8.8')).toEqual({
      ip: '8.8.8.8',
      country_code: 'US',
      country: 'United States',
      continent_code: 'NA',
      continent: 'North America',
    })
  })

  test.each(['10.0.0.1', '127.0.0.1', '255.255.255.255', '::1', 'fe80::1'])('knows nothing of %s', (address) => {
    expect(db.lookup(address)).toBeUndefined()
    expect(db.liteRecord(address)).toBeUndefined()
  })

  test('gives every country that it knows a name and a continent', () => {
    const addresses = Array.from({ length: 224 * 64 }, (_, index) => `${index >> 6}.${(index & 63) << 2}.1.1`)
    const records = addresses.flatMap((address) => db.liteRecord(address) ?? [])
    expect(records.length).toBeGreaterThan(5000)
    expect(records.filter(({ country, continent }) => country === undefined || continent === undefined)).toEqual([])
  })

  test('says what it is and when it was built', () => {
    expect(db.type).toBe('country ipvAll')
    expect(db.builtAt.getUTCFullYear()).toBeGreaterThan(2024)
  })
})

describe("an operator's ipinfo_lite.mmdb", () => {
  const lite = {
    asn: 'AS15169',
    as_name: 'Google LLC',
    as_domain: 'google.com',
    country_code: 'TR',
    country: 'Name of its own',
    continent_code: 'AS',
    continent: 'Asia',
  }
  const unrouted = { ...lite, asn: '', as_name: '', as_domain: '' }
  const nameless = { ...lite, as_name: '' }
  const open = () =>
    openTiny({
      ipVersion: 6,
      type: 'ipinfo lite',
      records: [
        ['9.0.0.1', lite],
        ['2001:db8::1', lite],
        ['9.0.0.2', unrouted],
        ['9.0.0.3', nameless],
      ],
    })

  test('answers Lite records with all of its fields, verbatim and in the order of IPinfo', () => {
    const record = open().liteRecord('9.0.0.1')
    expect(record).toEqual({ ip: '9.0.0.1', ...lite })
    expect(Object.keys(record ?? {})).toEqual(['ip', ...Object.keys(lite)])
    expect(open().liteRecord('2001:db8::1')).toEqual({ ip: '2001:db8::1', ...lite })
  })

  test('answers legacy records with the country code and the organisation', () => {
    expect(open().lookup('9.0.0.1')).toEqual({ ip: '9.0.0.1', country: 'TR', org: 'AS15169 Google LLC' })
  })

  test('leaves out what it does not know', () => {
    expect(open().lookup('9.0.0.2')).toEqual({ ip: '9.0.0.2', country: 'TR' })
    expect(open().liteRecord('9.0.0.2')).not.toHaveProperty('asn')
    expect(open().lookup('9.0.0.3')).toEqual({ ip: '9.0.0.3', country: 'TR' })
  })
})

test('the layout that IPinfo used before 2025 is read too', () => {
  const db = openTiny({
    ipVersion: 6,
    type: 'ipinfo country_asn',
    records: [['9.0.0.1', { country: 'CV', country_name: 'Cabo Verde', continent: 'AF', continent_name: 'Africa' }]],
  })
  expect(db.lookup('9.0.0.1')).toEqual({ ip: '9.0.0.1', country: 'CV' })
  expect(db.liteRecord('9.0.0.1')).toEqual({
    ip: '9.0.0.1',
    country_code: 'CV',
    country: 'Cabo Verde',
    continent_code: 'AF',
    continent: 'Africa',
  })
})

test('a code that has no name is answered without one', () => {
  const db = openTiny({ ipVersion: 6, type: 'odd', records: [['9.0.0.1', { country_code: 'QX' }]] })
  expect(db.liteRecord('9.0.0.1')).toEqual({ ip: '9.0.0.1', country_code: 'QX' })
})

test('a database of IPv4 alone knows nothing of IPv6 addresses, not even of those that begin with the same bits', () => {
  const db = openTiny({ ipVersion: 4, type: 'v4', records: [['32.1.13.184', { country_code: 'DE' }]] })
  expect(db.lookup('32.1.13.184')).toEqual({ ip: '32.1.13.184', country: 'DE' })
  expect(db.lookup('2001:db8::1')).toBeUndefined()
})

test('an open database cannot be changed, and opening a newer one leaves it as it is', () => {
  const contents = { ipVersion: 6, type: 'reopened' } as const
  const older = openTiny({ ...contents, records: [['9.0.0.1', { country_code: 'DE' }]] })
  const newer = openTiny({ ...contents, records: [['9.0.0.1', { country_code: 'FR' }]] })
  expect([older.lookup('9.0.0.1')?.country, newer.lookup('9.0.0.1')?.country]).toEqual(['DE', 'FR'])
  expect(Object.isFrozen(older)).toBe(true)
})

describe('opening fails, and the error names the file, when it', () => {
  test('is missing', () => {
    expect(() => openOfflineDb({ path: join(directory, 'missing.mmdb') })).toThrow(
      /missing\.mmdb cannot be read \(ENOENT\)$/,
    )
  })

  test.each([
    ['empty', Buffer.alloc(0)],
    ['text', Buffer.from('<html>not found</html>')],
    ['zeros', Buffer.alloc(10_000)],
  ])('is no MMDB (%s)', (name, bytes) => {
    const path = join(directory, name)
    writeFileSync(path, bytes)
    expect(() => openOfflineDb({ path })).toThrow(`${path} cannot be read: it is no whole MMDB`)
  })

  test('was cut off', () => {
    const path = join(directory, 'cut')
    const whole = tinyMmdb({ ipVersion: 6, type: 'cut', records: [['8.8.8.8', { country_code: 'US' }]] })
    writeFileSync(path, whole.subarray(0, whole.length - 60))
    expect(() => openOfflineDb({ path })).toThrow(`${path} cannot be read: it is no whole MMDB`)
  })

  test('holds something other than countries and networks', () => {
    const contents = { ipVersion: 6, type: 'domains', records: [['8.8.8.8', { domain: 'dns.google' }]] } as const
    expect(() => openTiny(contents)).toThrow(/domains\.mmdb \(domains\) has no country_code, only: domain/)
  })
})
