import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { maxTimerMs } from '@ipfleet/settings/kinds.ts'
import { loadConfig } from './load-config.ts'

let cwd = ''
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'edge-'))
})
afterEach(() => rmSync(cwd, { recursive: true }))

function load(toml: string, env: Record<string, string> = {}) {
  writeFileSync(join(cwd, 'edge.toml'), toml)
  return loadConfig({ path: 'edge.toml', env, cwd })
}

function configFrom(toml: string, env: Record<string, string> = {}) {
  const loaded = load(toml, env)
  if (loaded.kind !== 'config') throw new Error(loaded.text)
  return loaded.config
}

/** Each as `line: message`. */
function faultsFrom(toml: string, env: Record<string, string> = {}) {
  const loaded = load(toml, env)
  if (loaded.kind !== 'faults') throw new Error('expected faults')
  return loaded.faults.map(({ name, message }) => `${name.replace('edge.toml line ', '')}: ${message}`)
}

const preset = {
  server: {
    host: '0.0.0.0',
    port: 8090,
    workers: 1,
    maxConnections: 10_000,
    maxConnectionsPerClient: 1000,
    clientSharePercent: 50,
    maxLongAnswers: 1000,
    maxHeldBytes: 33_554_432,
    maxWindowBytes: 33_554_432,
    bodyBufferBytes: 65_536,
    maxHeaders: 100,
    maxHeaderBytes: 16_384,
    maxTargetBytes: 8192,
    maxBodyBytes: 104_857_600,
    headerTimeoutMs: 10_000,
    bodyTimeoutMs: 30_000,
    minBodyBytesPerSecond: 500,
    keepAliveMs: 60_000,
    sendTimeoutMs: 60_000,
    upgrades: true,
    tunnelIdleMs: 3_600_000,
    hiddenPaths: ['/metrics', '/stats', '/cache', '/keys', '/admin', '/console'],
    showBackend: true,
    proxyProtocol: [],
    probeEndpoint: '/edge/readyz',
  },
  tls: undefined,
  groups: {
    default: {
      backends: [{ protocol: 'http:', hostname: '127.0.0.1', port: 8080, weight: 1 }],
      balance: 'round-robin',
      host: 'client',
      connectTimeoutMs: 1000,
      answerTimeoutMs: 30_000,
      idleTimeoutMs: 60_000,
      maxConnections: 256,
      maxWaiting: 1024,
      clientSharePercent: 50,
      keepAliveMs: 30_000,
      maxConnectionLifeMs: 300_000,
      resolveMs: 5000,
      healthPath: undefined,
    },
  },
  routes: [],
  health: { path: undefined, intervalMs: 1000, timeoutMs: 1000, healthyAfter: 2, unhealthyAfter: 2 },
  ejection: { failures: 3, ejectMs: 10_000, maxPercent: 50, slowStartMs: 10_000 },
  retry: { attempts: 1, budgetPercent: 20, minPerSecond: 100, hedgeAfterMs: 'auto' },
  rateLimit: undefined,
  access: { allow: [], deny: [] },
  metrics: {
    enabled: true,
    endpoint: '/metrics',
    allow: ['127.0.0.0/8', '::1/128', '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'],
  },
  console: {
    enabled: false,
    allow: ['127.0.0.0/8', '::1/128', '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'],
  },
}

const seedLimit = {
  policy: { kind: 'sliding-window', limit: 10, windowMs: 60_000 },
  keyExtractor: { kind: 'client_ip' },
  known: [],
  aheadPercent: 0,
  exempt: [],
  limitMethods: undefined,
}

describe('which file is read', () => {
  test('none at all: everything is as preset', () => {
    expect(loadConfig({ path: undefined, env: {}, cwd })).toEqual({ kind: 'config', config: preset, file: undefined })
  })

  test('without a name, config/proxy.toml of the working directory', () => {
    mkdirSync(join(cwd, 'config'))
    writeFileSync(join(cwd, 'config/proxy.toml'), '[server]\nworkers = 3\n')
    const loaded = loadConfig({ path: undefined, env: {}, cwd })
    expect(loaded).toMatchObject({ config: { server: { workers: 3 } }, file: join(cwd, 'config/proxy.toml') })
  })

  test('one that was named and cannot be read is a fault', () => {
    expect(loadConfig({ path: 'none.toml', env: {}, cwd })).toEqual({
      kind: 'faults',
      faults: [{ name: 'none.toml', message: 'cannot be read (ENOENT)' }],
      text: 'none.toml: cannot be read (ENOENT)\n',
    })
  })
})

test('the configuration of the repository is that of the seed', () => {
  const loaded = loadConfig({ path: 'config/proxy.toml', env: {}, cwd: join(import.meta.dirname, '../..') })
  const backends = [8000, 8001].map((port) => ({ protocol: 'http:', hostname: '127.0.0.1', port, weight: 1 }))
  expect(loaded).toMatchObject({
    config: {
      ...preset,
      server: { ...preset.server, host: '0.0.0.0', port: 8080, workers: 4 },
      groups: { default: { ...preset.groups.default, backends } },
      rateLimit: seedLimit,
    },
  })
})

test('every table and key', () => {
  writeFileSync(join(cwd, 'cert.pem'), 'CERT')
  writeFileSync(join(cwd, 'key.pem'), 'KEY')
  const config = configFrom(`
    [server]
    listen = "[::1]:443"
    body_timeout_seconds = 0.25
    max_body_bytes = 0
    hidden_paths = ["/internal/"]
    proxy_protocol = ["10.0.0.0/8", "192.0.2.7"]
    probe_endpoint = ""
    [tls]
    cert = "cert.pem"
    key = "key.pem"
    min_version = "tlsv1.3"
    [upstreams]
    backends = ["https://replica", { url = "http://[fd00::3]:81", weight = 2 }]
    balance = "weighted"
    [groups.bulk]
    backends = ["http://bulk_worker.internal:9000/"]
    host = "backend"
    health_path = ""
    [[routes]]
    prefix = "/jobs/"
    upstreams = "bulk"
    max_body_bytes = 0
    [[routes]]
    prefix = "/"
    upstreams = "default"
    [health]
    path = "/readyz?quick"
    [rate_limit]
    algorithm = "token-bucket"
    burst = 5
    key_extractor = "header:X-Client"
    exempt = ["loopback", "192.0.2.1"]
    limit_methods = ["GET"]
    [access]
    deny = ["203.0.113.0/24"]
    [metrics]
    enabled = false`)
  expect(config).toEqual({
    ...preset,
    server: {
      ...preset.server,
      host: '::1',
      port: 443,
      bodyTimeoutMs: 250,
      maxBodyBytes: 0,
      hiddenPaths: ['/internal'],
      proxyProtocol: ['10.0.0.0/8', '192.0.2.7/32'],
      probeEndpoint: '',
    },
    tls: { cert: join(cwd, 'cert.pem'), key: join(cwd, 'key.pem'), http2: true, minVersion: 'TLSv1.3' },
    groups: {
      default: {
        ...preset.groups.default,
        backends: [
          { protocol: 'https:', hostname: 'replica', port: 443, weight: 1 },
          { protocol: 'http:', hostname: 'fd00::3', port: 81, weight: 2 },
        ],
        balance: 'weighted',
      },
      bulk: {
        ...preset.groups.default,
        backends: [{ protocol: 'http:', hostname: 'bulk_worker.internal', port: 9000, weight: 1 }],
        host: 'backend',
        healthPath: '',
      },
    },
    routes: [
      { prefix: '/jobs', upstreams: 'bulk', maxBodyBytes: 0, hedgeAfterMs: undefined },
      { prefix: '/', upstreams: 'default', maxBodyBytes: undefined, hedgeAfterMs: undefined },
    ],
    health: { ...preset.health, path: '/readyz?quick' },
    rateLimit: {
      policy: { kind: 'token-bucket', burst: 5, refillPerSecond: 0.5 },
      keyExtractor: { kind: 'header', name: 'x-client' },
      known: [],
      aheadPercent: 0,
      exempt: ['127.0.0.0/8', '::1/128', '192.0.2.1/32'],
      limitMethods: ['GET'],
    },
    access: { allow: [], deny: ['203.0.113.0/24'] },
    metrics: { ...preset.metrics, enabled: false },
  })
})

test('a table that is there and empty has its defaults', () => {
  expect(configFrom('[rate_limit]\n[upstreams]\n')).toEqual({ ...preset, rateLimit: seedLimit })
})

test('all faults are told at once, in the order of the file, each with its line, what was given and what is allowed', () => {
  const toml = `workers = 2
[server]
listen = 8080
wrokers = 4
upgrades = "yes"
max_headers = "100"
keep_alive_seconds = 3000000
[upstream]
[upstreams]
backends = [
  "http://127.0.0.1:8000",
  "http://user:canary@127.0.0.1:8001",
  { uri = "http://a", weight = 0 },
  "127.0.0.1:8000",
]
balance = "random"
[groups.Bulk]
backends = []
[groups.default]
backends = ["http://a"]
[[routes]]
prefix = "jobs"
[health]
timeout_ms = 1.5
[access]
allow = ["10.0.0.0/33", "private"]
[[metrics]]
enabled = true
`
  expect(faultsFrom(toml)).toEqual([
    '1: workers: is not known outside of a table; it belongs below [server]',
    '3: server.listen: got 8080; allowed: "host:port", "[::]:port" or ":port" for all addresses',
    '4: server.wrokers: is not known; did you mean workers?',
    '5: server.upgrades: got "yes"; allowed: true or false',
    '6: server.max_headers: got "100" (text; a number has no quotes); allowed: a whole number from 1 to 10000',
    '7: server.keep_alive_seconds: got 3000000; allowed: seconds from 0.001 to 2147483',
    '8: upstream: is not known; did you mean upstreams?',
    expect.stringMatching(/^12: upstreams\.backends: got "\*\*\*@127\.0\.0\.1:8001"; allowed: "http:\/\/host:port"/),
    '13: upstreams.backends.uri: is not known; did you mean url?',
    expect.stringMatching(/^13: upstreams\.backends: url is required/),
    '13: upstreams.backends.weight: got 0; allowed: a whole number from 1 to 1000',
    expect.stringMatching(/^14: upstreams\.backends: got "127\.0\.0\.1:8000"; allowed: /),
    expect.stringMatching(/^16: upstreams\.balance: got "random"; allowed: "round-robin" or /),
    '17: groups.Bulk: a name of a group is 1 to 64 of a to z, 0 to 9 and -',
    expect.stringMatching(/^18: groups\.Bulk\.backends: got a list \(empty\); allowed: a list of at least 1/),
    '19: groups.default: the group of this name is [upstreams]',
    expect.stringMatching(/^21: routes: upstreams is required; the name of a group/),
    '22: routes.prefix: got "jobs"; allowed: a path that begins with /',
    '24: health.timeout_ms: got 1.5; allowed: whole milliseconds from 1 to 2147483647',
    expect.stringMatching(/^26: access\.allow: got "10\.0\.0\.0\/33"; allowed: an address/),
    '27: metrics: got a list; allowed: a table, [metrics]',
  ])
})

test('a document that is not TOML is a fault with line and column, and shows nothing of it', () => {
  expect(faultsFrom('[server]\nworkers = \n[canary\n')).toEqual([
    expect.stringMatching(/^2: not valid TOML, column \d+: \w[^\n]*$/),
  ])
  expect(faultsFrom('[server]\nworkers = 1\nworkers = 2\n')).toEqual([
    expect.stringMatching(/^3: not valid TOML, column 1: .*redefine/),
  ])
})

test.each([
  ['server = 5', '1: server: got 5; allowed: a table, [server]'],
  ['groups = "x"', '1: groups: got "x"; allowed: a table, [groups]'],
  ['[routes]\nprefix = "/"', '1: routes: got a table; allowed: tables, each [[routes]]'],
  ['routes = [1]', '1: routes: got 1; allowed: a table, [[routes]]'],
  ['groups.bulk = true', '1: groups.bulk: got true; allowed: a table, [groups.bulk]'],
  ['[groups.__proto__]\nbackends = ["http://a"]', expect.stringContaining('1: groups.__proto__: a name of a group')],
  ['[server]\nworkers = 2026-01-01', expect.stringContaining('got a date or time; allowed')],
  ['[server]\nworkers = inf', expect.stringContaining('got Infinity; allowed')],
  [
    '[tls]\ncert = "none.pem"\nkey = "."',
    expect.stringContaining('2: tls.cert: got "none.pem" (ENOENT); allowed: a file'),
  ],
])('the fault of %j', (toml, fault) => {
  expect(faultsFrom(toml)[0]).toEqual(fault)
})

describe('what is right by itself and wrong together', () => {
  test.each([
    [':8000', 'http://127.0.0.1:8000'],
    ['0.0.0.0:8000', 'http://0.0.0.0:8000'],
    ['[::]:80', 'http://localhost'],
    ['127.0.0.1:8000', 'http://localhost:8000'],
    ['localhost:8000', 'http://[::1]:8000'],
    ['192.0.2.1:8000', 'http://192.0.2.1:8000'],
  ])('an edge on %s with the backend %s would forward to itself', (listen, backend) => {
    const toml = `[server]\nlisten = "${listen}"\n[groups.a]\nbackends = [\n"http://b",\n"${backend}"]`
    expect(faultsFrom(toml)).toEqual(['6: groups.a.backends: would forward to itself: server.listen is this address'])
  })

  test.each([
    [':8000', 'http://127.0.0.1:8001'],
    ['127.0.0.1:8000', 'http://127.0.0.2:8000'],
    ['192.0.2.1:8000', 'http://127.0.0.1:8000'],
    [':8000', 'http://replica:8000'],
  ])('an edge on %s may have the backend %s', (listen, backend) => {
    expect(load(`[server]\nlisten = "${listen}"\n[upstreams]\nbackends = ["${backend}"]`).kind).toBe('config')
  })

  test('an edge on the port of the preset backend would forward to itself too', () => {
    expect(faultsFrom('[server]\nlisten = ":8080"')).toEqual([
      '2: server.listen: would forward to itself: upstreams.backends is not set, and then http://127.0.0.1:8080',
    ])
  })

  test('a route leads to a group that there is', () => {
    const toml = '[groups.bulk]\nbackends = ["http://b"]\n[[routes]]\nprefix = "/jobs"\nupstreams = "blk"'
    expect(faultsFrom(toml)).toEqual(['5: routes.upstreams: got "blk"; allowed: "default" or "bulk"'])
  })

  test('a prefix has one route', () => {
    const route = '[[routes]]\nupstreams = "default"\n'
    expect(faultsFrom(`${route}prefix = "/a"\n${route}prefix = "/b"\n${route}prefix = "/a/"`)).toEqual([
      '9: routes.prefix: is that of the route on line 3 too',
    ])
  })

  test('a backend is in a list once', () => {
    expect(faultsFrom('[upstreams]\nbackends = ["http://a",\n{ url = "http://A:80" }]')).toEqual([
      '3: upstreams.backends: this backend is in the list already; weight gives one a larger share',
    ])
  })

  test('keys of one algorithm are not for the other', () => {
    expect(faultsFrom('[rate_limit]\nmax_requests = 5\nburst = 5')).toEqual([
      '3: rate_limit.burst: is of algorithm = "token-bucket", and this is "sliding-window"',
    ])
    expect(faultsFrom('[rate_limit]\nalgorithm = "token-bucket"\nwindow_seconds = 5')).toEqual([
      '3: rate_limit.window_seconds: is of algorithm = "sliding-window", and this is "token-bucket"',
    ])
  })

  test('metrics and the probe have a path each', () => {
    expect(faultsFrom('[server]\nprobe_endpoint = "/metrics"')).toEqual([
      '2: server.probe_endpoint: metrics.endpoint and server.probe_endpoint are the same',
    ])
  })
})

describe('references to the environment', () => {
  const toml = `[server]
workers = "\${WORKERS}"
upgrades = "\${UPGRADES}"
[upstreams]
backends = ["http://\${HOST}:81", { url = "\${BACKEND}" }]
[rate_limit]
refill_per_second = "\${REFILL}"
algorithm = "token-bucket"
key_extractor = "header:\${HEADER}"`
  const env = {
    WORKERS: '3',
    UPGRADES: 'False',
    HOST: 'replica',
    BACKEND: 'http://b',
    REFILL: '0.25',
    HEADER: 'x-key',
  }

  test('stand for texts, parts of texts, numbers and flags', () => {
    const { server, groups, rateLimit } = configFrom(toml, env)
    expect([server.workers, server.upgrades]).toEqual([3, false])
    expect(groups['default']?.backends.map(({ hostname }) => hostname)).toEqual(['replica', 'b'])
    expect(rateLimit?.policy).toMatchObject({ refillPerSecond: 0.25 })
    expect(rateLimit?.keyExtractor).toEqual({ kind: 'header', name: 'x-key' })
  })

  test('name the variable that is not set', () => {
    expect(faultsFrom(toml, { ...env, WORKERS: '', HOST: '' })).toEqual([
      '2: server.workers: WORKERS is not set in the environment',
      '5: upstreams.backends: HOST is not set in the environment',
    ])
  })

  test('do not show what the environment holds', () => {
    const canary = 'can ary'
    const values = { WORKERS: canary, UPGRADES: canary, HOST: canary, BACKEND: canary, REFILL: canary, HEADER: canary }
    const faults = faultsFrom(toml, values)
    expect(faults).toHaveLength(6)
    expect(faults[0]).toBe('2: server.workers: got "${WORKERS}"; allowed: a whole number from 1 to 256')
    expect(faults.join()).not.toContain('ary')
  })
})

test('the longest time that may be set is not too long for a timer', () => {
  expect(configFrom('[server]\nkeep_alive_seconds = 2147483').server.keepAliveMs).toBeLessThanOrEqual(maxTimerMs)
})
