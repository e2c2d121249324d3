import { describe, expect, test } from '@jest/globals'
import { loadSettings } from '@ipfleet/settings/load-settings.ts'
import { secretsOf } from '@ipfleet/settings/secrets-of.ts'
import { listenAddressOf } from './server/listen-address.ts'
import { settingsSchema } from './settings.ts'
import { settingsRules } from './settings-rules.ts'

const load = (env: Record<string, string>) =>
  loadSettings(settingsSchema, {
    program: 'egress',
    summary: '',
    argv: [],
    env,
    cwd: import.meta.dirname,
    rules: settingsRules,
  })

function settingsWith(env: Record<string, string>) {
  const loaded = load(env)
  if (loaded.kind !== 'settings') throw new Error(JSON.stringify(loaded))
  return loaded.settings
}

function faultsOf(env: Record<string, string>) {
  const loaded = load(env)
  return loaded.kind === 'faults' ? loaded.faults.map(({ name, message }) => `${name}: ${message}`) : []
}

const credentials = { PROXY_USER: 'test', PROXY_PASS: 'secret123' }

test('the .env of the seed is read as it is', () => {
  const settings = settingsWith({
    IP_POOL: '172.105.123.45,172.105.123.46',
    ...credentials,
    LISTEN_ADDR: '0.0.0.0:7777',
    RUST_LOG: 'info',
  })
  expect(settings).toMatchObject({
    IP_POOL: ['172.105.123.45', '172.105.123.46'],
    LISTEN_ADDR: { host: '0.0.0.0', port: 7777 },
    RATE_LIMIT_BURST: 10,
    RATE_LIMIT_REFILL: 0.5,
  })
  expect(listenAddressOf(settings, settings.LISTEN_ADDR)).toEqual({ host: '0.0.0.0', port: 7777, narrowed: false })
  expect(secretsOf(settingsSchema, settings)).toEqual(['secret123'])
})

test('passwords of parents are secrets, and a file may hold them', () => {
  const settings = settingsWith({ IP_POOL: '192.0.2.1,http://u:p%40ss@a.test:3128#a,socks5://b.test' })
  expect(secretsOf(settingsSchema, settings)).toEqual(['p%40ss', 'p@ss'])
  expect(settingsSchema.IP_POOL.fromFile).toBe(true)
})

test('with nothing set, the system chooses the address, and only this machine is listened to', () => {
  const settings = settingsWith({})
  expect(settings).toMatchObject({ IP_POOL: [], PROXY_USER: undefined, ALLOW_TARGETS: [], REDIS_URL: undefined })
  expect(listenAddressOf(settings, settings.LISTEN_ADDR)).toEqual({ host: '127.0.0.1', port: 7777, narrowed: true })
})

describe('without credentials', () => {
  test.each([
    ['0.0.0.0:1', '127.0.0.1', true],
    [':1', '127.0.0.1', true],
    ['192.0.2.1:1', '127.0.0.1', true],
    ['[::]:1', '127.0.0.1', true],
    ['[2001:db8::1]:1', '::1', true],
    ['127.0.0.1:1', '127.0.0.1', false],
    ['127.0.0.2:1', '127.0.0.2', false],
    ['localhost:1', '127.0.0.1', false],
    ['[::1]:1', '::1', false],
  ])('LISTEN_ADDR=%s listens on %s', (given, host, narrowed) => {
    const settings = settingsWith({ LISTEN_ADDR: given })
    expect(listenAddressOf(settings, settings.LISTEN_ADDR)).toEqual({ host, port: 1, narrowed })
  })

  test.each([[credentials], [{ USERS_FILE: 'users' }]])('is not with %j', (env) => {
    const settings = settingsWith({ LISTEN_ADDR: '[::]:1', ...env })
    expect(listenAddressOf(settings, settings.LISTEN_ADDR)).toEqual({ host: '::', port: 1, narrowed: false })
  })
})

describe('are faults, all told at once:', () => {
  test('a user without a password, with everything else', () => {
    expect(faultsOf({ PROXY_USER: 'test', RATE_LIMIT_REFILL: '0' })).toEqual([
      'RATE_LIMIT_REFILL: got "0" from the environment; allowed: a number from 0.001 to 1000000',
      'PROXY_USER: needs PROXY_PASS',
    ])
  })

  test.each([
    [{ PROXY_PASS: 'canary' }, /^PROXY_PASS: needs PROXY_USER$/],
    [{ PROXY_USER: 'a:b', PROXY_PASS: 'canary' }, /^PROXY_USER: got/],
    [{ HEALTH_CHECK_URL: 'tcp://example.com' }, /^HEALTH_CHECK_URL: needs a port/],
    [{ HEALTH_CHECK_URL: 'ftp://example.com' }, /^HEALTH_CHECK_URL: got/],
    [{ IP_POOL: '192.0.2.1,0.0.0.0' }, /^IP_POOL: "0\.0\.0\.0" is unspecified/],
    [{ IP_POOL: '192.0.2.5/24' }, /^IP_POOL: "192\.0\.2\.5\/24" means 192\.0\.2\.0\/24, or the address/],
    [{ IP_POOL: '192.0.2.1,http://u:canary@a.test/path' }, /^IP_POOL: item 2 has a path, which a proxy has not$/],
    [
      { IP_POOL: 'http://u:canary@a.test#a,http://v:canary@b.test#a' },
      /^IP_POOL: item 2 has the label of another item, a:/,
    ],
    [{ CONNECT_PORTS: '443,http' }, /^CONNECT_PORTS: got "443,http" from the environment; allowed: comma-separated/],
    [{ ALLOW_TARGETS: 'a.test,127.1' }, /^ALLOW_TARGETS: .*\("127\.1" is not valid\)/],
    [{ LISTEN_ADDR: 'example.com:7777' }, /^LISTEN_ADDR: got/],
    [{ LISTEN_ADDR: '0.0.0.0' }, /^LISTEN_ADDR: got/],
    [{ LISTEN_ADDR: '0.0.0.0:65536' }, /^LISTEN_ADDR: got/],
    [{ TLS_LISTEN_ADDR: ':7443' }, /^TLS_LISTEN_ADDR: TLS_LISTEN_ADDR, TLS_CERT and TLS_KEY are set together/],
    [{ TLS_CERT: 'cert.pem' }, /^TLS_LISTEN_ADDR: TLS_LISTEN_ADDR, TLS_CERT and TLS_KEY are set together/],
    [
      { TLS_LISTEN_ADDR: ':7443', TLS_CERT: 'none.pem', TLS_KEY: 'none.key' },
      /^TLS_CERT: none\.pem cannot be read \(ENOENT\)$/,
    ],
    [{ METRICS_ADDR: 'none' }, /^METRICS_ADDR: got/],
    [{ ROTATION: 'lru' }, /^ROTATION: got/],
    [{ IDLE_TIMEOUT_SECONDS: '9999999' }, /^IDLE_TIMEOUT_SECONDS: got/],
  ])('%j', (env, expected) => {
    const faults = faultsOf(env)
    expect(faults).toEqual([expect.stringMatching(expected)])
    expect(faults.join()).not.toContain('canary')
  })
})

test('lists of targets are read into one spelling', () => {
  expect(settingsWith({ DENY_TARGETS: '*.Example.COM, .test, loopback,10.0.0.0/8' }).DENY_TARGETS).toEqual([
    '*.example.com',
    '.test',
    '127.0.0.0/8',
    '::1/128',
    '10.0.0.0/8',
  ])
})

test.each([
  ['off', 'off'],
  ['[::1]:0', { host: '::1', port: 0 }],
])('METRICS_ADDR=%s is %j', (given, value) => {
  expect(settingsWith({ METRICS_ADDR: given }).METRICS_ADDR).toEqual(value)
})
