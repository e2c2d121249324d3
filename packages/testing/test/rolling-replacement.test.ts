import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type FakeIpinfo, startFakeIpinfo } from '../src/fake-ipinfo.ts'
import { likelyFreePort } from '../src/service-process-port.ts'
import { type ServiceProcess, startReplica, startService } from '../src/service-process.ts'
import { startTestRedis, type TestRedis } from '../src/test-redis.ts'
import { until } from '../src/until.ts'
import { startSteadyLoad } from './steady-load.ts'

/** The README's "Replace replicas one after another", without containers: edge, three replicas and bulk as processes. */
const entryOf = (service: string): string =>
  fileURLToPath(new URL(`../../../services/${service}/src/main.ts`, import.meta.url))
const keys = ['key-1', 'key-2', 'key-3'] as const
/** Of the replicas that are there at first, and of those that come for them. */
const ports = Array.from({ length: 6 }, () => likelyFreePort())

interface Row {
  readonly id: string
  readonly state: string
  readonly reason?: string
}

interface Job {
  readonly id: string
  readonly state: string
  readonly lines: { readonly done: number }
}

let folder: string
let redis: TestRedis
let fake: FakeIpinfo
let edge: ServiceProcess
let bulk: ServiceProcess
const replicas: ServiceProcess[] = []

function startNext(port: number): Promise<ServiceProcess> {
  return startReplica({
    PORT: String(port),
    IPINFO_KEYS: keys.join(','),
    IPINFO_BASE_URL: fake.url,
    IPINFO_API_BASE_URL: fake.apiUrl,
    REDIS_URL: redis.url,
    REDIS_TIMEOUT_MS: '5000',
    REQUEST_TIMEOUT_MS: '20000',
    QUOTA_POLL_SECONDS: '0',
    DRAIN_MS: '1500',
  })
}

const read = async <T>(url: string): Promise<T> => (await (await fetch(url)).json()) as T

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ipfleet-rolling-'))
  redis = await startTestRedis()
  fake = await startFakeIpinfo({ keys: Object.fromEntries(keys.map((key) => [key, {}])), latencyMs: 20 })
  replicas.push(...(await Promise.all(ports.slice(0, 3).map(startNext))))
  const config = join(folder, 'edge.toml')
  const backends = JSON.stringify(ports.map((port) => `http://127.0.0.1:${port}`))
  await writeFile(
    config,
    `[server]\nlisten = "127.0.0.1:0"\n[upstreams]\nbackends = ${backends}\n[health]\npath = "/readyz"\ninterval_seconds = 0.2\ntimeout_ms = 10000\n`,
  )
  edge = await startService({ entry: entryOf('edge'), args: ['--config', config], env: { LOG_FORMAT: 'json' } })
  bulk = await startService({
    entry: entryOf('bulk'),
    env: {
      PORT: '0',
      HOST: '127.0.0.1',
      LOG_FORMAT: 'json',
      REDIS_URL: redis.url,
      REDIS_TIMEOUT_MS: '5000',
      LOOKUP_URL: edge.url,
    },
  })
  await until(async () => (await fetch(`${edge.url}/9.9.9.9`)).status === 200)
})

afterAll(async () => {
  await bulk.stop()
  await edge.stop()
  await Promise.all(replicas.map((replica) => replica.stop()))
  await Promise.all([fake.close(), redis.stop(), rm(folder, { recursive: true })])
})

test('all replicas are replaced under load: no GET fails, a benched key rests on, a job has each of its lines', async () => {
  const { keys: rows } = await read<{ keys: readonly Row[] }>(`${replicas[0]?.url}/keys`)
  const id = rows[0]?.id
  await fetch(`${replicas[0]?.url}/keys/${id}/bench?seconds=600`, { method: 'POST' })
  await until(async () => (await fetch(`${edge.url}/9.9.9.10`)).status === 200)
  fake.clearCalls()

  const inputs = Array.from({ length: 6000 }, (_, at) => `30.${(at >> 8) & 255}.${at & 255}.9`)
  // So that the job is under way when the first replacement begins.
  const late = new Set(inputs.slice(4000))
  const gate = fake.hold({ when: ({ items = [] }) => items.some((item) => late.has(item)) })
  const posted = await fetch(`${bulk.url}/jobs`, { method: 'POST', body: inputs.join('\n') })
  const { id: job } = (await posted.json()) as Job
  const jobUrl = `${bulk.url}/jobs/${job}`
  const load = startSteadyLoad({
    clients: 4,
    pauseMs: 10,
    urlOf: (number) => `${edge.url}/9.1.${(number >> 8) & 255}.${number & 255}`,
  })
  // A bulk service that Redis does not answer in time says so instead.
  await until(async () => ((await read<Partial<Job>>(jobUrl)).lines?.done ?? 0) > 0)
  for (const [at, old] of replicas.slice(0, 3).entries()) {
    const starting = startNext(ports[at + 3] ?? 0)
    gate.release()
    const next = await starting
    replicas.push(next)
    await until(async () => next.lines().some(({ msg, path }) => msg === 'request' && path !== '/readyz'))
    expect((await old.stop()).code).toBe(0)
  }
  const { requests } = load
  await until(() => load.requests > requests + 100)
  const { failures } = await load.stop()
  expect(failures).toEqual([])

  await until(async () => (await read<Partial<Job>>(jobUrl)).state === 'completed', 60_000)
  const results = (await (await fetch(`${jobUrl}/results`)).text()).trimEnd().split('\n')
  expect(results.map((line) => (JSON.parse(line) as { input: string }).input)).toEqual(inputs)
  expect(results.filter((line) => line.includes('"error"'))).toEqual([])

  for (const replica of replicas.slice(3)) {
    const now = (await read<{ keys: readonly Row[] }>(`${replica.url}/keys`)).keys
    expect(now.find((row) => row.id === id)).toMatchObject({ state: 'cooling', reason: 'operator' })
  }
  expect(fake.countByToken()).not.toHaveProperty('key-1')
})
