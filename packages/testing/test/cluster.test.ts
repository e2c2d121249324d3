import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isDeepStrictEqual } from 'node:util'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type FakeIpinfo, startFakeIpinfo } from '../src/fake-ipinfo.ts'
import { type ServiceProcess, startReplica, startService } from '../src/service-process.ts'
import { RespClient } from '../src/resp-client.ts'
import { makeReadmeUser } from '../src/redis-users.ts'
import { temporaryFolder } from '../src/service-process-folder.ts'
import { startFaultyTcpProxy } from '../src/faulty-tcp-proxy.ts'
import { startTestCluster, type TestCluster } from '../src/test-cluster.ts'
import type { TestRedis } from '../src/test-redis.ts'
import { until } from '../src/until.ts'
import { Opened } from './opened.ts'

/** A fleet on a Redis Cluster of three masters. */

const limited = Array.from({ length: 10 }, (_, at) => `limited-client-${at}`)
const opened = new Opened()
let cluster: TestCluster
let fake: FakeIpinfo
let replicas: readonly [ServiceProcess, ServiceProcess]
/** A replica of another fleet. */
let stranger: ServiceProcess

beforeAll(async () => {
  cluster = await startTestCluster()
  opened.defer(() => cluster.stop())
  for (const service of ['lookup', 'edge', 'egress', 'bulk']) {
    await makeReadmeUser({ call: (...command) => cluster.onEachMaster(...command) }, service)
    // As the READMEs say of a Cluster.
    await cluster.onEachMaster('ACL', 'SETUSER', service, '+cluster|slots', '+asking')
  }
  fake = await startFakeIpinfo()
  opened.defer(() => fake.close())
  const env = {
    REDIS_URL: cluster.url,
    REDIS_USERNAME: 'lookup',
    REDIS_PASSWORD: 'PASSWORD',
    REDIS_TIMEOUT_MS: '5000',
    IPINFO_KEYS: 'key-1,key-2,key-3',
    IPINFO_BASE_URL: fake.url,
    IPINFO_API_BASE_URL: fake.apiUrl,
    CLIENT_TOKENS: ['any-client', ...limited.map((token) => `${token};requests=5/day`)].join(),
    QUOTA_POLL_SECONDS: '0',
    // For a busy machine, on which a batch over all nodes may take more than the default of 5 s.
    REQUEST_TIMEOUT_MS: '20000',
    STALE_WHILE_REVALIDATE_SECONDS: '0',
    DRAIN_MS: '0',
  }
  const blue = { ...env, REDIS_PREFIX: 'blue', REDIS_USERNAME: '', REDIS_PASSWORD: '' }
  const [first, second, third] = await Promise.all([
    opened.service(startReplica(env)),
    opened.service(startReplica(env)),
    opened.service(startReplica(blue)),
  ])
  replicas = [first, second]
  stranger = third
  for (const { url } of [first, second, third]) await until(async () => (await healthOf(url)).status === 'ok')
})

afterAll(() => opened.disposeAsync())

const withToken = (token: string): RequestInit => ({ headers: { Authorization: `Bearer ${token}` } })
const client = withToken('any-client')

interface Health {
  readonly status: string
  readonly redis: unknown
}

async function healthOf(url: string): Promise<Health> {
  return (await (await fetch(`${url}/health`)).json()) as Health
}

const callsFor = (address: string): number => fake.calls.filter(({ path }) => path === `/${address}`).length

test('health tells that it is a Cluster', async () => {
  const up = { state: 'up', topology: 'cluster' }
  const well = { state: 'up', cache: 'up', links: { state: up, cache: up } }
  await until(async () => JSON.stringify((await healthOf(replicas[0].url)).redis) === JSON.stringify(well))
})

/** One after another, each asked of both replicas several times at once. */
async function herd(addresses: readonly string[]): Promise<void> {
  for (const address of addresses) {
    const asked = Array.from({ length: 10 }, (_, at) => fetch(`${replicas[(at % 2) as 0 | 1].url}/${address}`, client))
    const answers = await Promise.all(asked)
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
  }
}

test('many who ask for one cold address at once cost one upstream call, whatever slot it is in', async () => {
  let round = 0
  // A node that stands still for a moment costs a call more. That 30 addresses miss a node is as good as impossible.
  await until(async () => {
    round += 1
    const addresses = Array.from({ length: 30 }, (_, at) => `9.9.${round}.${at}`)
    await herd(addresses)
    return addresses.every((address) => callsFor(address) === 1)
  })
})

async function batchOf(url: string, addresses: readonly string[]): Promise<object> {
  const answer = await fetch(`${url}/batch`, {
    method: 'POST',
    headers: client.headers ?? {},
    body: JSON.stringify(addresses),
  })
  expect(answer.status).toBe(200)
  return (await answer.json()) as object
}

test('a batch over all slots is read from what another replica has stored, and keeps its order', async () => {
  const addresses = Array.from({ length: 600 }, (_, at) => `6.7.${at >> 8}.${at & 255}`)
  const [first, second] = replicas
  const loaded = Object.entries(await batchOf(first.url, addresses))
  expect(loaded).toHaveLength(addresses.length)
  expect(loaded.filter(([address, answer]) => (answer as { ip?: string }).ip !== address)).toEqual([])
  await until(async () => {
    const before = itemsAsked()
    const again = await batchOf(second.url, addresses)
    return itemsAsked() === before && Object.keys(again).length === addresses.length
  })
})

test('a purge reaches the other replica', async () => {
  const [first, second] = replicas
  await fetch(`${first.url}/7.7.7.7`, client)
  await fetch(`${second.url}/7.7.7.7`, client)
  const before = callsFor('7.7.7.7')
  expect((await fetch(`${first.url}/cache`, { method: 'DELETE' })).ok).toBe(true)
  await until(async () => {
    await fetch(`${second.url}/7.7.7.7`, client)
    return callsFor('7.7.7.7') > before
  })
})

test('budgets of clients hold over both replicas', async () => {
  const left = [...limited]
  await until(async () => {
    const token = left.pop()
    if (token === undefined) throw new Error('no token was held to its budget')
    const statuses: number[] = []
    for (let at = 0; at < 10; at += 1) {
      statuses.push((await fetch(`${replicas[(at % 2) as 0 | 1].url}/8.8.8.${at}`, withToken(token))).status)
    }
    return isDeepStrictEqual(statuses, [200, 200, 200, 200, 200, 429, 429, 429, 429, 429])
  })
})

test('counters of all replicas are summed', async () => {
  await until(async () => {
    const [first, second] = await Promise.all(replicas.map(({ url }) => requestsAt(`${url}/stats`)))
    return (await requestsAt(`${replicas[0].url}/stats?scope=fleet`)) >= (first ?? 0) + (second ?? 1)
  })
})

test('a key that is benched is benched on the whole fleet, and not on another one', async () => {
  const [first, second] = replicas
  const id = (await keysOf(first.url))[0]?.id
  await fetch(`${first.url}/keys/${id}/bench?seconds=600`, { method: 'POST' })
  await until(async () => (await keysOf(second.url)).some((key) => key.id === id && key.state !== 'active'))
  expect((await keysOf(stranger.url)).map(({ state }) => state)).toEqual(['active', 'active', 'active'])
})

test('another fleet in the same Cluster shares no answers', async () => {
  await fetch(`${replicas[0].url}/5.5.5.5`, client)
  await fetch(`${stranger.url}/5.5.5.5`, client)
  expect(callsFor('5.5.5.5')).toBeGreaterThanOrEqual(2)
})

test('a job is done', async () => {
  const bulk = await started('bulk', {
    PORT: '0',
    HOST: '127.0.0.1',
    LOOKUP_URL: replicas[0].url,
    LOOKUP_TOKEN: 'any-client',
  })
  const body = Array.from({ length: 2000 }, (_, at) => `4.7.${at >> 8}.${at & 255}`).join('\n')
  const headers = { 'Content-Type': 'text/plain' }
  const posted = await until(async () => {
    const answer = await fetch(`${bulk.url}/jobs`, { method: 'POST', headers, body })
    return answer.status === 202 && ((await answer.json()) as { readonly id: string })
  })
  await until(async () => {
    const job = (await (await fetch(`${bulk.url}/jobs/${posted.id}`)).json()) as { readonly state: string }
    return job.state === 'completed'
  })
  const results = await (await fetch(`${bulk.url}/jobs/${posted.id}/results`)).text()
  expect(results.trim().split('\n')).toHaveLength(2000)
})

test('edge and egress use it too', async () => {
  const folder = await temporaryFolder('edge')
  opened.defer(() => folder.remove())
  const file = join(folder.path, 'edge.toml')
  await writeFile(file, '[server]\nlisten = "127.0.0.1:0"\n[upstreams]\nbackends = ["http://127.0.0.1:1"]\n')
  const services = await Promise.all([
    started('edge', {}, ['--config', file]),
    started('egress', { LISTEN_ADDR: '127.0.0.1:0', METRICS_ADDR: 'off' }),
  ])
  for (const service of services) await service.waitForLine(({ msg }) => msg === 'redis is up')
})

test('no node was sent a command that is for another one', async () => {
  const stats = await cluster.onEachMaster('INFO', 'errorstats')
  expect(stats.map(String).join('')).not.toMatch(/errorstat_(CROSSSLOT|TRYAGAIN)/)
  const sizes = await cluster.onEachMaster('DBSIZE')
  expect(sizes.filter((size) => size === 0)).toEqual([])
})

test('a slot that is half moved costs no look-up its answer, and none of its answers a second call', async () => {
  const [first, second] = replicas
  let round = 0
  const load = async (count: number): Promise<string[]> => {
    round += 1
    const addresses = Array.from({ length: count }, (_, at) => `11.${round}.${at >> 8}.${at & 255}`)
    await batchOf(first.url, addresses)
    return addresses
  }
  await until(async () => {
    const before = await load(500)
    const slot = await fullestSlot()
    await cluster.beginMove(slot, 0, 1)
    const after = await load(500)
    const asked = itemsAsked()
    await batchOf(second.url, [...before, ...after])
    const costsNothing = itemsAsked() === asked
    await cluster.endMove(slot, 0, 1)
    await cluster.beginMove(slot, 1, 0)
    await cluster.endMove(slot, 1, 0)
    return costsNothing && (await refusedWhole())
  }, 120_000)
})

/** Whether a command met a slot that was half moved. */
async function refusedWhole(): Promise<boolean> {
  const stats = await cluster.onEachMaster('INFO', 'errorstats')
  return stats.some((text) => String(text).includes('errorstat_TRYAGAIN'))
}

/** Of the first master. */
async function fullestSlot(): Promise<number> {
  const slots = Array.from({ length: 5461 / 64 }, (_, at) => 64 * at)
  const counts = await Promise.all(
    slots.map(async (slot) => Number((await cluster.onEachMaster('CLUSTER', 'COUNTKEYSINSLOT', String(slot)))[0])),
  )
  return slots[counts.indexOf(Math.max(...counts))] ?? 0
}

test('it is used from behind NAT, where its nodes are not where they say', async () => {
  const proxies = await Promise.all(cluster.nodes.map(({ port }) => startFaultyTcpProxy({ targetPort: port })))
  for (const proxy of proxies) opened.defer(() => proxy.close())
  const map = cluster.nodes.map(({ port }, at) => `127.0.0.1:${port}=localhost:${proxies[at]?.port}`)
  const outside = await started('lookup', {
    PORT: '0',
    HOST: '127.0.0.1',
    REDIS_URL: `redis+cluster://localhost:${proxies[0]?.port}`,
    REDIS_NAT_MAP: map.join(),
    // There is none here: then masters are asked.
    REDIS_READ_FROM: 'replicas',
  })
  await until(async () => (await healthOf(outside.url)).status === 'ok')
  await until(() => proxies.every(({ accepted }) => accepted > 0))
})

test('a master that has lost what it knew is told again which keys rest', async () => {
  const id = (await keysOf(stranger.url))[0]?.id
  await fetch(`${stranger.url}/keys/${id}/bench?seconds=600`, { method: 'POST' })
  const field = ['HEXISTS', 'blue:keys:{pool}:benches', `${id}:until`]
  const holds = (node: TestRedis): Promise<unknown> => replyOf(node.url, ...field)
  const holder = await until(async () => {
    const replies = await Promise.all(cluster.nodes.map(holds))
    return cluster.nodes[replies.indexOf(1)]
  })
  await holder.restart()
  await until(async () => (await holds(holder)) === 1)
})

/** What one node says. */
async function replyOf(url: string, ...command: readonly string[]): Promise<unknown> {
  const connection = await RespClient.connect(url)
  try {
    return await connection.call(...command).catch(() => undefined)
  } finally {
    connection.close()
  }
}

function started(name: string, env: Record<string, string>, args: readonly string[] = []): Promise<ServiceProcess> {
  const entry = fileURLToPath(new URL(`../../../services/${name}/src/main.ts`, import.meta.url))
  const common = { LOG_FORMAT: 'json', DRAIN_MS: '0', REDIS_URL: cluster.url, REDIS_TIMEOUT_MS: '5000' }
  const user = { REDIS_USERNAME: name, REDIS_PASSWORD: 'PASSWORD' }
  return opened.service(startService({ entry, args, name, env: { ...common, ...user, ...env } }))
}

interface Key {
  readonly id: string
  readonly state: string
}

async function keysOf(url: string): Promise<readonly Key[]> {
  return ((await (await fetch(`${url}/keys`)).json()) as { readonly keys: readonly Key[] }).keys
}

async function requestsAt(url: string): Promise<number> {
  return ((await (await fetch(url)).json()) as { readonly requests_total: number }).requests_total
}

function itemsAsked(): number {
  return fake.calls.reduce((sum, { items = [] }) => sum + items.length, 0)
}
