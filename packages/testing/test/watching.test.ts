import { spawnSync } from 'node:child_process'
import { hash } from 'node:crypto'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, request } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type FakeIpinfo, startFakeIpinfo } from '../src/fake-ipinfo.ts'
import { type LogLine, type ServiceProcess, startReplica, startService } from '../src/service-process.ts'
import { temporaryFolder } from '../src/service-process-folder.ts'
import { metricsTable } from '../src/metrics-reference.ts'
import { readmeSection } from '../src/readme-section.ts'
import { likelyFreePort } from '../src/service-process-port.ts'
import { startTestRedis } from '../src/test-redis.ts'
import { Opened } from './opened.ts'

/** What an operator sees of the services: requests by their id in logs and answers, and the metrics. */

const token = 'a-client'
const metricsPort = likelyFreePort()
const opened = new Opened()
/** Names of the fields of all upstream requests. */
const sentUpstream: string[] = []
let fake: FakeIpinfo
let replicas: readonly [ServiceProcess, ServiceProcess]
let edge: ServiceProcess
let bulk: ServiceProcess
let egress: ServiceProcess

beforeAll(async () => {
  fake = await startFakeIpinfo()
  opened.defer(() => fake.close())
  const watched = await watchedUpstream()
  const redis = await startTestRedis()
  opened.defer(() => redis.stop())
  const shared = {
    NODE_OPTIONS: preloads.map((url) => `--import=${fileURLToPath(url)}`).join(' '),
    CLIENT_TOKENS: token,
    REDIS_URL: redis.url,
    REDIS_TIMEOUT_MS: '5000',
    DRAIN_MS: '0',
    LOG_LEVEL: 'debug',
    LOG_FORMAT: 'json',
    HOST: '127.0.0.1',
  }
  const upstream = {
    FAILURE_MODE: 'open',
    IPINFO_KEYS: 'test-key-1',
    IPINFO_BASE_URL: watched,
    IPINFO_API_BASE_URL: fake.apiUrl.replace(fake.url, watched),
  }
  const env = { ...shared, ...upstream, QUOTA_POLL_SECONDS: '0' }
  replicas = await Promise.all([opened.service(startReplica(env)), opened.service(startReplica(env))])
  const [first] = replicas
  bulk = await opened.service(
    started('bulk', {
      ...shared,
      PORT: '0',
      LOOKUP_URL: first.url,
      LOOKUP_TOKEN: token,
      WEBHOOK_SECRET: Buffer.alloc(32, 7).toString('base64'),
    }),
  )
  egress = await opened.service(
    started('egress', {
      ...shared,
      LISTEN_ADDR: '127.0.0.1:0',
      METRICS_ADDR: `127.0.0.1:${metricsPort}`,
      ALLOW_TARGETS: '127.0.0.1',
      DENY_TARGETS: '',
    }),
  )
  const folder = await temporaryFolder('edge')
  opened.defer(() => folder.remove())
  const file = join(folder.path, 'proxy.toml')
  const routes = `[groups.bulk]\nbackends = ["${bulk.url}"]\n[[routes]]\nprefix = "/jobs"\nupstreams = "bulk"`
  await writeFile(
    file,
    `[server]\nlisten = "127.0.0.1:0"\nworkers = 2\n[health]\ntimeout_ms = 10000\n[upstreams]\nbackends = ["${first.url}"]\n${routes}\n`,
  )
  edge = await opened.service(started('edge', shared, ['--config', file]))
})

afterAll(() => opened.disposeAsync())

/** Fixtures that tell what a service makes and loads. */
const preloads = [
  new URL('../../telemetry/test/fixture-metrics-preload.ts', import.meta.url),
  new URL('../../telemetry/test/fixture-traces-preload.ts', import.meta.url),
]

/** In front of the fake: notes which fields upstream gets. @returns its URL */
async function watchedUpstream(): Promise<string> {
  const server = createServer((req, res) => {
    sentUpstream.push(...Object.keys(req.headers))
    const { method, headers } = req
    const onward = request(`${fake.url}${req.url}`, { method, headers }, (answer) => {
      res.writeHead(answer.statusCode ?? 0, answer.headers)
      answer.pipe(res)
    })
    req.pipe(onward)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  opened.defer(async () => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function started(name: string, env: Readonly<Record<string, string>>, args: readonly string[] = []) {
  const entry = fileURLToPath(new URL(`../../../services/${name}/src/main.ts`, import.meta.url))
  return startService({ entry, name, env, args })
}

interface Sent {
  readonly method?: string
  readonly body?: string
  /** Through the egress. */
  readonly proxied?: boolean
}

const authorized = { authorization: `Bearer ${token}` }

/** Each request is a trace of its own. */
const traceOf = (id: string): string => hash('md5', id)

/** @returns status, X-Request-Id of the answer, and body */
async function send(service: ServiceProcess, path: string, id: string, { method = 'GET', body, proxied }: Sent = {}) {
  const target = proxied === true ? { port: egress.port, path: `${service.url}${path}` } : { port: service.port, path }
  const host = `127.0.0.1:${service.port}`
  const outgoing = request({
    host: '127.0.0.1',
    ...target,
    method,
    agent: false,
    headers: { host, 'x-request-id': id, traceparent: `00-${traceOf(id)}-00f067aa0ba902b7-01`, ...authorized },
  })
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.on('response', resolve).on('error', reject).end(body)
  })
  return { status: answer.statusCode, id: answer.headers['x-request-id'], body: await text(answer) }
}

/** The first line of a service about a request of this id, which names its trace. */
async function lineOf(service: ServiceProcess, id: string, more: (line: LogLine) => boolean = () => true) {
  const line = await service.waitForLine((one) => one['id'] === id && one['msg'] === 'request' && more(one))
  expect(line['trace_id']).toBe(traceOf(id))
  return line
}

test('a look-up has one id and one trace in egress, edge and replica: from upstream, from memory, from Redis', async () => {
  expect(await send(edge, '/8.8.8.8', 'miss', { proxied: true })).toMatchObject({ status: 200, id: 'miss' })
  expect(await lineOf(egress, 'miss')).toMatchObject({ status: 200, service: 'egress' })
  expect(await lineOf(edge, 'miss')).toMatchObject({ status: 200, service: 'edge' })
  expect(await lineOf(replicas[0], 'miss')).toMatchObject({ cache: 'upstream', service: 'lookup' })
  expect(await send(edge, '/8.8.8.8', 'memory')).toMatchObject({ status: 200, id: 'memory' })
  expect(await lineOf(edge, 'memory')).toMatchObject({ status: 200 })
  expect(await lineOf(replicas[0], 'memory')).toMatchObject({ cache: 'l1' })
  expect(await send(replicas[1], '/8.8.8.8', 'redis')).toMatchObject({ status: 200, id: 'redis' })
  expect(await lineOf(replicas[1], 'redis')).toMatchObject({ cache: 'l2' })
})

test('a failure and a refusal have it on the answer and in one line of each service', async () => {
  fake.behave({ kind: 'status', status: 500, body: {} })
  expect(await send(edge, '/AS9', 'failed')).toMatchObject({ status: 502, id: 'failed' })
  fake.heal()
  expect(await lineOf(replicas[0], 'failed')).toMatchObject({ level: 'warn', status: 502, code: 'upstream_failed' })
  expect(await lineOf(edge, 'failed')).toMatchObject({ level: 'warn', status: 502 })
  expect(await send(edge, '/8.8.8.8?callback=a(1)', 'refused')).toMatchObject({ status: 400, id: 'refused' })
  expect(await lineOf(replicas[0], 'refused')).toMatchObject({ level: 'info', status: 400, code: 'bad_request' })
  expect(await lineOf(edge, 'refused')).toMatchObject({ level: 'info', status: 400 })
  for (const service of [edge, replicas[0]]) {
    expect(
      service.lines().filter(({ id, msg }) => (id === 'failed' || id === 'refused') && msg === 'request'),
    ).toHaveLength(2)
  }
})

test('a list has the id of its request in bulk, and its batches have it in the replica', async () => {
  const sent = await send(edge, '/jobs', 'list', { method: 'POST', body: '8.8.8.8\n1.1.1.1\n', proxied: true })
  expect(sent).toMatchObject({ status: 202, id: 'list' })
  expect(await lineOf(egress, 'list')).toMatchObject({ method: 'POST' })
  expect(await lineOf(edge, 'list')).toMatchObject({ path: '/jobs' })
  expect(await lineOf(bulk, 'list')).toMatchObject({ path: '/jobs', status: 202, service: 'bulk' })
  expect(await lineOf(replicas[0], 'list', ({ path }) => path === '/batch')).toMatchObject({ method: 'POST' })
  const completed = await bulk.waitForLine(({ id, msg }) => id === 'list' && msg === 'job completed')
  expect(completed['trace_id']).toBe(traceOf('list'))
})

test('what is not traced loads nothing of OpenTelemetry', () => {
  const loaded = [edge, bulk, egress, ...replicas].flatMap((service) =>
    service.lines().filter(({ msg }) => msg === 'OpenTelemetry is loaded'),
  )
  expect(loaded).toEqual([])
})

test('upstream never learns of it', () => {
  expect(sentUpstream).toContain('authorization')
  expect(sentUpstream).not.toContain('x-request-id')
  expect(sentUpstream).not.toContain('traceparent')
})

test.each([
  ['edge', () => edge],
  ['lookup', () => replicas[0]],
  ['bulk', () => bulk],
  ['egress', () => egress],
] as const)('%s gives an id to what never became a request, and writes one line', async (_name, service) => {
  const refusing = service()
  const answer = await text(connect(refusing.port, '127.0.0.1').end('GET /a b c HTTP/1.1\r\nno field\r\n\r\n'))
  const id = /^x-request-id: (\S+)\r$/im.exec(answer)?.[1]
  expect(id).toMatch(/^[\da-f-]{36}$/)
  expect(await refusing.waitForLine((line) => line['id'] === id)).toMatchObject({
    status: 400,
    code: 'bad_request',
    client: '127.0.0.1',
  })
})

test.each([
  ['lookup', () => replicas[0], '/health'],
  ['lookup', () => replicas[0], '/metrics'],
  ['bulk', () => bulk, '/readyz'],
  ['edge', () => edge, '/edge/readyz'],
  ['edge', () => edge, '/metrics'],
] as const)('a probe of %s (%#) has an id, and its line is for debugging only', async (name, service, path) => {
  const id = `probe-${name}${path.replaceAll('/', '-')}`
  expect(await send(service(), path, id)).toMatchObject({ status: 200, id })
  expect(await lineOf(service(), id)).toMatchObject({ level: 'debug', path })
})

test('what a request brings about is logged under its id', async () => {
  fake.behave({ kind: '429-storm' })
  await send(replicas[1], '/9.9.9.10', 'benches')
  fake.heal()
  await replicas[1].waitForLine(({ id, msg }) => id === 'benches' && msg === 'key benched')
})

const metricsUrls = {
  lookup: () => `${replicas[0].url}/metrics`,
  edge: () => `${edge.url}/metrics`,
  egress: () => `http://127.0.0.1:${metricsPort}/metrics`,
  bulk: () => `${bulk.url}/metrics`,
} as const
const services = Object.keys(metricsUrls) as (keyof typeof metricsUrls)[]

/** Reads standard input with Prometheus' own parser for Python, which is strict; prints how many families it has found. */
const strictParser = `
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as classic
parse = openmetrics if sys.argv[1] == "openmetrics" else classic
print(len(list(parse(sys.stdin.read()))))`
const python = spawnSync('/usr/bin/python3', ['-c', 'import prometheus_client'], { encoding: 'utf8' })
const hasParser = python.status === 0
if (!hasParser) {
  process.stderr.write(
    "Metrics are not read with Prometheus' parser for Python: it is Debian's python3-prometheus-client\n",
  )
}

test.each(services)('%s speaks OpenMetrics to those who ask for it, and else the classic format', async (name) => {
  const url = metricsUrls[name]()
  const open = await fetch(url, {
    headers: { accept: 'application/openmetrics-text; version=1.0.0, text/plain;q=0.5' },
  })
  const classic = await fetch(url)
  const [openText, classicText] = [await open.text(), await classic.text()]
  expect(open.headers.get('content-type')).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8')
  expect(openText).toMatch(/\n# EOF\n$/)
  expect(classic.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
  for (const told of [openText, classicText]) expect(told.trimEnd().split('\n')).not.toContain('')
  if (!hasParser) return
  for (const [format, input] of [
    ['openmetrics', openText],
    ['classic', classicText],
  ]) {
    const { stdout, stderr } = spawnSync('/usr/bin/python3', ['-c', strictParser, String(format)], {
      input,
      encoding: 'utf8',
    })
    expect([stderr, Number(stdout) > 20]).toEqual(['', true])
  }
})

test.each(services)(
  'the README of %s lists its metrics (UPDATE_README=1 npm test -- watching.test writes it)',
  (name) => {
    const process = { lookup: replicas[0], edge, egress, bulk }[name]
    const table = `\n${metricsTable(process.lines())}\n`
    const readme = new URL(`../../../services/${name}/README.md`, import.meta.url)
    expect(readmeSection({ readme, begin: `metrics: ${name}`, end: 'end of metrics' }, table)).toBe(table)
  },
)
