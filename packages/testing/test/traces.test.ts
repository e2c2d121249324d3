import { hash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type FakeIpinfo, startFakeIpinfo } from '../src/fake-ipinfo.ts'
import { OtlpReceiver, type ReceivedSpan } from '../src/otlp-receiver.ts'
import { type ServiceProcess, startReplica, startService } from '../src/service-process.ts'
import { temporaryFolder } from '../src/service-process-folder.ts'
import { startTestRedis } from '../src/test-redis.ts'
import { until } from '../src/until.ts'
import { Opened } from './opened.ts'

/** A fleet that sends its traces to a collector: edge, three replicas, bulk. */

const canary = 'canary-3b81f0c2d7'
const herd = Array.from({ length: 9 }, (_, at) => `herd-${at}`)
const herdPath = '/9.9.9.1'
const opened = new Opened()
let fake: FakeIpinfo
let collector: OtlpReceiver
let replicas: readonly ServiceProcess[]
let first: ServiceProcess
let edge: ServiceProcess
let bulk: ServiceProcess

beforeAll(async () => {
  fake = await startFakeIpinfo()
  opened.defer(() => fake.close())
  collector = await OtlpReceiver.start()
  opened.use(collector)
  const redis = await startTestRedis()
  opened.defer(() => redis.stop())
  const env = {
    REDIS_URL: redis.url,
    REDIS_TIMEOUT_MS: '5000',
    DRAIN_MS: '0',
    LOG_FORMAT: 'json',
    HOST: '127.0.0.1',
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer%20${canary}`,
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=a%20test',
    OTEL_BSP_SCHEDULE_DELAY: '20',
  }
  const keys = { IPINFO_KEYS: 'test-key-1', IPINFO_BASE_URL: fake.url, IPINFO_API_BASE_URL: fake.apiUrl }
  const preload = fileURLToPath(new URL('../../telemetry/test/fixture-traces-preload.ts', import.meta.url))
  const ofReplica = {
    ...env,
    ...keys,
    QUOTA_POLL_SECONDS: '0',
    REQUEST_TIMEOUT_MS: '30000',
    NODE_OPTIONS: `--import=${preload}`,
  }
  replicas = await Promise.all([1, 2, 3].map(() => opened.service(startReplica(ofReplica))))
  first = replicas[0] as ServiceProcess
  bulk = await opened.service(started('bulk', { ...env, PORT: '0', LOOKUP_URL: first.url }))
  const folder = await temporaryFolder('edge')
  opened.defer(() => folder.remove())
  const file = join(folder.path, 'proxy.toml')
  const backends = JSON.stringify(replicas.map(({ url }) => url))
  await writeFile(
    file,
    `[server]\nlisten = "127.0.0.1:0"\n[retry]\nhedge_after_ms = 0\n[health]\ntimeout_ms = 10000\n[upstreams]\nbackends = ${backends}\n`,
  )
  // It sends nothing before it ends.
  const sparing = { ...env, OTEL_BSP_SCHEDULE_DELAY: '600000', OTEL_SERVICE_NAME: 'our-edge' }
  edge = await opened.service(started('edge', sparing, ['--config', file]))
})

afterAll(() => opened.disposeAsync())

function started(name: string, env: Readonly<Record<string, string>>, args: readonly string[] = []) {
  const entry = fileURLToPath(new URL(`../../../services/${name}/src/main.ts`, import.meta.url))
  return startService({ entry, name, env, args })
}

const traceIdOf = (name: string): string => hash('md5', name)
const clientSpan = '00f067aa0ba902b7'

/** A request that a client's span of a trace of that name has sent. */
async function ask({ port }: ServiceProcess, path: string, name: string, { flags = '01', body = '' } = {}) {
  const headers = { traceparent: `00-${traceIdOf(name)}-${clientSpan}-${flags}` }
  const method = body === '' ? 'GET' : 'POST'
  const outgoing = request({ host: '127.0.0.1', port, path, method, headers, agent: false })
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  outgoing.on('error', reject).on('response', (answer) => {
    text(answer).then(() => resolve(answer.statusCode ?? 0), reject)
  })
  outgoing.end(body)
  return promise
}

const has = (spans: readonly ReceivedSpan[], service: string): boolean =>
  spans.some((span) => span.service === service && span.kind === 'server')

/** The spans of a request to a replica. */
const ofLookup = (name: string) => collector.trace(traceIdOf(name), (spans) => has(spans, 'ipfleet-lookup'))

const serverOf = (spans: readonly ReceivedSpan[], service = 'ipfleet-lookup'): ReceivedSpan | undefined =>
  spans.find((span) => span.service === service && span.kind === 'server')

const childrenOf = (parent: ReceivedSpan | undefined, spans: readonly ReceivedSpan[]): readonly ReceivedSpan[] =>
  spans.filter(({ parentSpanId }) => parentSpanId === parent?.spanId)

const isOfRedis = ({ attributes }: ReceivedSpan): boolean => attributes['db.system.name'] === 'redis'
/** A load ends after all of its steps, and after the request that it answers. */
const isLoaded = (spans: readonly ReceivedSpan[]): boolean => spans.some(({ name }) => name === 'load')
const procedure = 'db.stored_procedure.name'
const idsOf = (spans: readonly ReceivedSpan[]): readonly string[] => spans.map(({ spanId }) => spanId)

/** The first that is as wanted: on a machine that stands still, Redis may be late for one. @param probe is given 1, 2, … */
function firstOf<T>(probe: (at: number) => Promise<T | false>): Promise<T> {
  let at = 0
  return until(() => probe((at += 1)))
}

test('a herd over three replicas is one call to upstream, to which the spans of all who waited are linked', async () => {
  const gate = fake.hold({ paths: [herdPath] })
  const answers = herd.map((name) => ask(edge, herdPath, name))
  const ids = new Set(herd.map(traceIdOf))
  const spans = () => collector.spans.filter(({ traceId }) => ids.has(traceId))
  // Each of them has asked Redis who loads it.
  await until(
    () =>
      new Set(
        spans()
          .filter(isOfRedis)
          .map(({ instance }) => instance),
      ).size === 3,
  )
  gate.release()
  expect(await Promise.all(answers)).toEqual(herd.map(() => 200))
  await Promise.all(herd.map(ofLookup))
  // A lease that was lost on a busy machine would be a second call, and so a second load.
  const upstream = () => spans().filter(({ attributes }) => attributes['url.full'] === `${fake.url}${herdPath}`)
  const loads = () => spans().filter(({ name }) => name === 'load')
  await until(() => upstream().length === fake.callsTo(herdPath).length && loads().length === upstream().length)
  expect(new Set(upstream().map(({ parentSpanId }) => parentSpanId))).toEqual(new Set(idsOf(loads())))
  const waited = spans().filter(({ attributes }) => attributes['ipfleet.cache'] === 'collapsed')
  expect(waited.length).toBeGreaterThan(0)
  for (const { links } of waited) {
    expect(links).toHaveLength(1)
    expect(idsOf(loads())).toContain(links[0])
  }
})

test('one trace leads from the edge over the replica and Redis to upstream, and is sent when the edge ends', async () => {
  const way = await firstOf(async (at) => {
    expect(await ask(edge, `/9.9.8.${at}?token=${canary}`, `way-${at}`)).toBe(200)
    const spans = await collector.trace(traceIdOf(`way-${at}`), (all) => isLoaded(all) && has(all, 'ipfleet-lookup'))
    const commands = new Set(spans.filter(isOfRedis).map(({ name, attributes }) => attributes[procedure] ?? name))
    return ['GET', 'SET', 'publish-outcomes'].every((name) => commands.has(name)) && at
  })
  await edge.stop()
  const spans = await collector.trace(traceIdOf(`way-${way}`), (all) => has(all, 'our-edge'))
  const path = `/9.9.8.${way}`
  const front = serverOf(spans, 'our-edge')
  expect(front).toMatchObject({ parentSpanId: clientSpan, attributes: { 'url.path': path } })
  const [attempt] = childrenOf(front, spans)
  expect(attempt).toMatchObject({ name: 'GET', kind: 'client', failed: false })
  const [replica] = childrenOf(attempt, spans)
  expect(replica).toMatchObject({
    name: 'GET',
    service: 'ipfleet-lookup',
    attributes: { 'http.response.status_code': 200, 'url.path': path, 'ipfleet.cache': 'upstream' },
  })
  const steps = childrenOf(replica, spans)
  expect(steps.filter(isOfRedis).map(({ name }) => name)).toContain('GET')
  const inside = childrenOf(
    steps.find(({ name }) => name === 'load'),
    spans,
  )
  expect(inside.filter(isOfRedis).map(({ name }) => name)).toContain('SET')
  expect(inside.find(({ attributes }) => attributes['url.full'] !== undefined)).toMatchObject({
    name: 'GET',
    kind: 'client',
    attributes: { 'url.full': `${fake.url}${path}`, 'http.response.status_code': 200 },
  })
})

test('a hit in memory is a span, without one for what is not sampled, nor for probes', async () => {
  const hit = await firstOf(async (at) => {
    await ask(first, '/9.9.9.3', `unsampled-${at}`, { flags: '00' })
    await ask(first, '/readyz', `probe-${at}`)
    await ask(first, '/9.9.9.3', `hit-${at}`)
    const span = serverOf(await ofLookup(`hit-${at}`))
    return span?.attributes['ipfleet.cache'] === 'l1' && span
  })
  expect(hit).toMatchObject({ parentSpanId: clientSpan, attributes: { 'http.response.status_code': 200 } })
  const told = new Set(collector.spans.map(({ traceId }) => traceId))
  expect([told.has(traceIdOf('unsampled-1')), told.has(traceIdOf('probe-1'))]).toEqual([false, false])
})

test('a failure is a failed span with its code', async () => {
  const paths = ['/9.9.9.4']
  fake.behave({ kind: 'status', status: 500, body: {}, paths })
  expect(await ask(first, '/9.9.9.4', 'failed')).toBe(502)
  expect(serverOf(await ofLookup('failed'))).toMatchObject({
    failed: true,
    attributes: { 'http.response.status_code': 502, 'error.type': 'upstream_failed' },
  })
})

test('a job is one trace: its chunks, their batches, and what those load', async () => {
  expect(await ask(bulk, '/jobs', 'job', { body: '9.9.9.5\n9.9.9.6\n' })).toBe(202)
  const spans = await collector.trace(
    traceIdOf('job'),
    (all) => isLoaded(all) && has(all, 'ipfleet-lookup') && all.some(({ name }) => name === 'chunk'),
  )
  const parentOf = (span: ReceivedSpan | undefined) => spans.find(({ spanId }) => spanId === span?.parentSpanId)
  const load = spans.find(({ name }) => name === 'load')
  expect(load).toMatchObject({ attributes: { 'ipfleet.items': 2 } })
  const replica = parentOf(load)
  expect(replica).toMatchObject({ kind: 'server', attributes: { 'url.path': '/batch' } })
  const batch = parentOf(replica)
  expect(batch).toMatchObject({ name: 'POST', kind: 'client', service: 'ipfleet-bulk' })
  const chunk = parentOf(batch)
  expect(chunk).toMatchObject({ name: 'chunk', kind: 'consumer' })
  expect(parentOf(chunk)).toMatchObject({ kind: 'server', attributes: { 'url.path': '/jobs' } })
})

test('what is traced has loaded OpenTelemetry', async () => {
  await first.waitForLine(({ msg }) => msg === 'OpenTelemetry is loaded')
})

test('no key, token or password is in what is sent; the collector gets its own', () => {
  const sent = collector.bodies.join('\n')
  expect(sent).toContain('"deployment.environment.name","value":{"stringValue":"a test"}')
  expect(sent).not.toContain(canary)
  expect(sent).not.toContain('test-key-1')
  expect([...collector.authorizations]).toEqual([`Bearer ${canary}`])
})

test('a collector that refuses is told of once, and is no reason to refuse anything', async () => {
  collector.status = 400
  expect(await ask(first, '/9.9.9.3', 'lost')).toBe(200)
  const warning = await first.waitForLine(({ msg }) => String(msg).startsWith('traces cannot be sent'))
  expect(warning).toMatchObject({ level: 'warn' })
  const before = collector.bodies.length
  expect(await ask(first, '/9.9.9.3', 'lost too')).toBe(200)
  await until(() => collector.bodies.length > before)
  collector.status = 200
  expect(await ask(first, '/9.9.9.3', 'kept')).toBe(200)
  await ofLookup('kept')
  await first.waitForLine(({ msg }) => msg === 'traces are sent again')
  expect(first.lines().filter(({ msg }) => String(msg).startsWith('traces cannot be sent'))).toHaveLength(1)
})
