import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { loadSettings } from '@ipfleet/settings/load-settings.ts'
import { type TestCertificate, testCertificate } from '@ipfleet/testing/test-certificate.ts'
import { redisAddress } from './redis-address.ts'
import { redisRules, redisSettings, redisUrl } from './redis-settings.ts'

const schema = { REDIS_URL: redisUrl({ help: 'Redis', optional: true }), ...redisSettings() }
const load = (env: Record<string, string>) =>
  loadSettings(schema, { program: 'p', summary: '', argv: [], env, cwd: '/', rules: redisRules('REDIS') })

test.each([
  'redis://h',
  'redis://h/',
  'redis://h:6380/3',
  'rediss://user:p%40ss%2Fword%25@h/0',
  'redis://:p@ss@h',
  'redis://[::1]:6379/1',
])('%s is taken', (url) => {
  expect(load({ REDIS_URL: url }).kind).toBe('settings')
})

test.each([
  ['redis://:100%canary@h', 'written %25'],
  ['redis://:p@canary/word@h', 'written %2F'],
  ['redis://:canary?x@h', '[?] %3F'],
  ['redis://:canary#x@h', '# %23'],
  ['redis://h/abc', 'number of a database'],
  ['redis://h/-1', 'number of a database'],
  ['redis://h/1/2', 'number of a database'],
  ['redis://h/1?db=2', 'query'],
  ['redis://h:0', 'no port 0'],
  ['redis://h:65536', 'a URL that starts with'],
  ['redis://:canary x@h', 'blank'],
  ['"redis://:canary@h"', 'quotes'],
  ["'redis://:canary@h'", 'quotes'],
  ['redis://', 'a URL that starts with'],
])('%s is refused with a reason that holds no secret', (url, reason) => {
  const loaded = load({ REDIS_URL: url })
  expect(loaded).toMatchObject({
    kind: 'faults',
    faults: [{ name: 'REDIS_URL', message: expect.stringMatching(reason) }],
  })
  expect(JSON.stringify(loaded)).not.toContain('canary')
})

test.each(['blue', 'ip-fleet.eu_2', '7'])('the name %s is taken', (prefix) => {
  expect(load({ REDIS_URL: 'redis://h', REDIS_PREFIX: prefix }).kind).toBe('settings')
})

test.each(['a:b', 'a b', 'a*', '{a}', 'a'.repeat(65), '"blue"'])('the name %s is refused', (prefix) => {
  expect(load({ REDIS_URL: 'redis://h', REDIS_PREFIX: prefix }).kind).toBe('faults')
})

test.each([
  ['unix:///run/redis.sock', { path: '/run/redis.sock', hosts: [], db: 0 }],
  ['unix:/run/redis.sock?db=3', { path: '/run/redis.sock', db: 3 }],
  ['redis://h', { hosts: [{ host: 'h', port: 6379 }], db: 0, tls: false, username: undefined, password: undefined }],
  ['rediss://user:p%40ss%2Fword%25@h:1/4', { tls: true, username: 'user', password: 'p@ss/word%', db: 4 }],
  ['redis://:p@ss@h', { username: undefined, password: 'p@ss', hosts: [{ host: 'h', port: 6379 }] }],
  [
    'redis+sentinel://u:p%40@h1,h2:26380,[::1]/my.master/2',
    {
      topology: 'sentinel',
      hosts: [
        { host: 'h1', port: 26_379 },
        { host: 'h2', port: 26_380 },
        { host: '::1', port: 26_379 },
      ],
      masterName: 'my.master',
      db: 2,
      tls: false,
      username: 'u',
      password: 'p@',
    },
  ],
  [
    'rediss+cluster://:p@h1:7000,h2',
    {
      topology: 'cluster',
      hosts: [
        { host: 'h1', port: 7000 },
        { host: 'h2', port: 6379 },
      ],
      tls: true,
      db: 0,
      password: 'p',
    },
  ],
  ['rediss+sentinel://h1/m', { topology: 'sentinel', tls: true, masterName: 'm', db: 0 }],
  ['REDIS://[::1]:6380/1', { hosts: [{ host: '::1', port: 6380 }], db: 1 }],
])('%s is read', (url, address) => {
  expect(load({ REDIS_URL: url }).kind).toBe('settings')
  expect(redisAddress(url)).toMatchObject(address)
})

test.each([
  ['unix://h/run/redis.sock', 'host'],
  ['unix:///run/redis.sock?database=3', '[?]db='],
  ['unix:', 'starts with'],
  ['redis://h1,h2', 'several hosts'],
  ['redis+sentinel://h1,h2', 'name of the master'],
  ['redis+cluster://h1,h2/1', 'database 0 only'],
  ['redis+cluster://h1,h2?db=1', 'query'],
  ['redis+sentinel://h1,h2/m/x', 'name of the master'],
  ['redis+sentinel://h1,,h2/m', 'starts with'],
  ['redis+sentinel://h1,h2:0/m', 'no port 0'],
  ['redis+sentinel:///m', 'starts with'],
])('%s is refused', (url, reason) => {
  expect(load({ REDIS_URL: url })).toMatchObject({ faults: [{ message: expect.stringMatching(reason) }] })
})

describe('settings together', () => {
  let certificate: TestCertificate
  let other: TestCertificate
  beforeAll(async () => {
    certificate = await testCertificate()
    other = await testCertificate()
  })
  afterAll(() => Promise.all([certificate, other].map((made) => made[Symbol.asyncDispose]())))

  test.each<[name: string, env: () => Record<string, string>]>([
    ['all of them', () => allSet()],
    ['a user in the URL, and a password', () => ({ REDIS_URL: 'redis://user@h', REDIS_PASSWORD: 'canary' })],
    ['a bundle of authorities', () => ({ REDIS_URL: 'rediss://h', REDIS_CA: certificate.certFile })],
  ])('%s can be used', (_name, env) => {
    expect(load(env())).toMatchObject({ kind: 'settings' })
  })

  test.each<[given: () => Record<string, string>, fault: RegExp]>([
    [() => ({ ...allSet(), REDIS_URL: 'redis://h' }), /REDIS_CA: is for TLS[^]*REDIS_CERT: is for TLS/],
    [() => ({ ...allSet(), REDIS_URL: '' }), /REDIS_USERNAME: needs REDIS_URL[^]*REDIS_PASSWORD: needs REDIS_URL/],
    [() => ({ ...allSet(), REDIS_CA: '/nowhere' }), /REDIS_CA: \/nowhere cannot be read \(ENOENT\)/],
    [() => ({ ...allSet(), REDIS_CA: certificate.keyFile }), /REDIS_CA: certificate 1 in .* cannot be read/],
    [() => ({ ...allSet(), REDIS_CA: import.meta.filename }), /REDIS_CA: .* holds no certificate in PEM/],
    [() => ({ ...allSet(), REDIS_KEY: other.keyFile }), /REDIS_CERT: .* do not belong together/],
    [() => ({ ...allSet(), REDIS_KEY: '' }), /REDIS_CERT: needs REDIS_KEY/],
    [() => ({ ...allSet(), REDIS_CERT: '' }), /REDIS_KEY: needs REDIS_CERT/],
    [
      () => ({ ...allSet(), REDIS_URL: 'rediss://u:canary@h' }),
      /REDIS_USERNAME: .* keep one[^]*REDIS_PASSWORD: .* keep one/,
    ],
    [() => ({ REDIS_URL: 'redis://canary@h' }), /REDIS_USERNAME: a user without a password: set REDIS_PASSWORD/],
    [() => ({ REDIS_URL: 'redis://h', REDIS_USERNAME: 'u' }), /a user without a password/],
    [
      () => ({ REDIS_URL: 'redis://h', REDIS_SENTINEL_PASSWORD: 'canary' }),
      /REDIS_SENTINEL_PASSWORD: is for Sentinels/,
    ],
    [
      () => ({ REDIS_URL: 'redis+sentinel://h/m', REDIS_SENTINEL_USERNAME: 'u' }),
      /REDIS_SENTINEL_USERNAME: needs REDIS_SENTINEL_PASSWORD/,
    ],
  ])('%# is refused, and no secret is shown', (given, fault) => {
    const loaded = load(given())
    expect(loaded).toMatchObject({ kind: 'faults', text: expect.stringMatching(fault) })
    expect(JSON.stringify(loaded)).not.toContain('canary')
  })

  function allSet(): Record<string, string> {
    return {
      REDIS_URL: 'rediss://h',
      REDIS_USERNAME: 'user',
      REDIS_PASSWORD: 'canary',
      REDIS_CA: certificate.certFile,
      REDIS_CERT: certificate.certFile,
      REDIS_KEY: certificate.keyFile,
    }
  }
})

test.each([
  ['redis+cluster://h', '10.0.0.1:6379=redis-1.example.com:7001,10.0.0.2:6379=203.0.113.7:7002', undefined],
  ['redis+sentinel://h/m', '10.0.0.1:6379=203.0.113.7:7001', undefined],
  ['redis://h', '10.0.0.1:6379=203.0.113.7:7001', 'is for a Cluster or Sentinels'],
  ['redis+cluster://h', '10.0.0.1=203.0.113.7', 'HOST:PORT=HOST:PORT'],
  ['redis+cluster://h', 'h:1=i:2,', 'HOST:PORT=HOST:PORT'],
])('%s with REDIS_NAT_MAP=%s', (url, map, reason) => {
  const loaded = load({ REDIS_URL: url, REDIS_NAT_MAP: map })
  const fault = { name: 'REDIS_NAT_MAP', message: expect.stringContaining(reason ?? '') }
  expect(loaded).toMatchObject(reason === undefined ? { kind: 'settings' } : { kind: 'faults', faults: [fault] })
})
