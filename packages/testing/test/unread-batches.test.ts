import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type FakeIpinfo, startFakeIpinfo } from '../src/fake-ipinfo.ts'
import { type ServiceProcess, startReplica, startService } from '../src/service-process.ts'
import { startTestRedis, type TestRedis } from '../src/test-redis.ts'
import { until } from '../src/until.ts'

/** The edge in front of two replicas, with the default limits of each. */
const edgeEntry = fileURLToPath(new URL('../../../services/edge/src/main.ts', import.meta.url))
const addresses = Array.from({ length: 1000 }, (_, at) => `30.0.${at >> 8}.${at & 255}`)

let folder: string
let redis: TestRedis
let fake: FakeIpinfo
let edge: ServiceProcess
let replicas: ServiceProcess[]
const unread: Socket[] = []
const agent = new Agent({ keepAlive: true })

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ipfleet-unread-'))
  redis = await startTestRedis()
  fake = await startFakeIpinfo({ keys: { 'key-1': {} }, latencyMs: 5 })
  const env = {
    IPINFO_KEYS: 'key-1',
    IPINFO_BASE_URL: fake.url,
    IPINFO_API_BASE_URL: fake.apiUrl,
    REDIS_URL: redis.url,
    REDIS_TIMEOUT_MS: '5000',
    REQUEST_TIMEOUT_MS: '20000',
    TRUST_PROXY: '127.0.0.1',
    DRAIN_MS: '0',
  }
  replicas = await Promise.all([startReplica(env), startReplica(env)])
  const config = join(folder, 'edge.toml')
  const backends = JSON.stringify(replicas.map(({ url }) => url))
  // A busy machine may let any process stand still for a second or two, the time of two health checks.
  const health = '[health]\npath = "/readyz"\ntimeout_ms = 20000\n'
  await writeFile(config, `[server]\nlisten = "127.0.0.1:0"\n[upstreams]\nbackends = ${backends}\n${health}`)
  edge = await startService({ entry: edgeEntry, args: ['--config', config], env: { LOG_FORMAT: 'json' } })
  await until(async () => (await ask('/8.8.8.8')).status === 200)
})

afterAll(async () => {
  for (const socket of unread) socket.destroy()
  agent.destroy()
  await edge.stop()
  await Promise.all(replicas.map((replica) => replica.stop()))
  await Promise.all([fake.close(), redis.stop(), rm(folder, { recursive: true })])
})

async function ask(path: string, batch?: readonly string[]): Promise<{ status: number; body: string; ms: number }> {
  const startedMs = performance.now()
  const method = batch === undefined ? 'GET' : 'POST'
  const req = request({ host: '127.0.0.1', port: edge.port, path, method, agent }).end(batch && JSON.stringify(batch))
  const [res] = await once(req, 'response')
  const body = await text(res)
  return { status: res.statusCode, body, ms: performance.now() - startedMs }
}

/** From another address, with a small window of its own. */
async function postUnread(body: string): Promise<void> {
  const socket = connect({ port: edge.port, host: '127.0.0.1', localAddress: '127.0.0.2' }).pause()
  socket.on('error', () => undefined)
  unread.push(socket)
  await once(socket, 'connect')
  socket.write(`POST /batch HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
}

/** How long so many GETs took, one after the other: of five one is for an address that nobody asked for yet. */
async function durationsOf(count: number, network: string): Promise<{ medianMs: number; mostMs: number }> {
  const durationsMs: number[] = []
  for (let turn = 0; turn < count; turn += 1) {
    const { status, body: record, ms } = await ask(turn % 5 === 4 ? `/${network}.${turn}` : '/8.8.8.8')
    expect([status, record]).toEqual([200, expect.stringContaining('"ip"')])
    durationsMs.push(ms)
  }
  const sorted = durationsMs.toSorted((a, b) => a - b)
  return { medianMs: sorted[count / 2] ?? 0, mostMs: sorted.at(-1) ?? 0 }
}

/** By how much a GET may be slower beside the batches, on a machine that is slow anyway. */
const busyFactor = 20

test('300 batches of one client that reads no answer shut nobody out', async () => {
  const quiet = await durationsOf(20, '31.0.1')
  const body = JSON.stringify(addresses)
  await Promise.all(Array.from({ length: 300 }, () => postUnread(body)))
  const { medianMs, mostMs } = await durationsOf(100, '31.0.0')
  // It took 7 to 8 seconds, for as long as the batches were worked on.
  expect(medianMs).toBeLessThan(Math.max(2000, busyFactor * quiet.medianMs))
  expect(mostMs).toBeLessThan(Math.max(6000, busyFactor * quiet.mostMs))
  const batch = await ask('/batch', addresses)
  expect([batch.status, Object.keys(JSON.parse(batch.body) as object).length]).toEqual([200, 1000])
  expect(edge.lines().filter(({ msg }) => msg === 'backend is unhealthy')).toEqual([])
})
