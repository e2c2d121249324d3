import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type FakeIpinfo, startFakeIpinfo } from '@ipfleet/testing/fake-ipinfo.ts'
import { observeRedis } from '@ipfleet/testing/redis-observer.ts'
import { type ServiceProcess, startReplica } from '@ipfleet/testing/service-process.ts'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { until } from '@ipfleet/testing/until.ts'
import type { Stats } from '../src/operations/stats.ts'

/** Three fleets in one Redis: one has another prefix, one another database. Two replicas of the first. */
let redis: TestRedis
let fake: FakeIpinfo
let replicas: readonly ServiceProcess[]

beforeAll(async () => {
  redis = await startTestRedis()
  fake = await startFakeIpinfo({ keys: { 'key-1': {} } })
  const env = {
    IPINFO_KEYS: 'key-1',
    IPINFO_BASE_URL: fake.url,
    IPINFO_API_BASE_URL: fake.url,
    REDIS_TIMEOUT_MS: '5000',
  }
  const own = [{}, {}, { REDIS_PREFIX: 'blue' }, { REDIS_URL: `${redis.url}/1` }]
  replicas = await Promise.all(
    own.map((more) => startReplica({ ...env, REDIS_URL: redis.url, DRAIN_MS: '0', ...more })),
  )
  await until(async () => (await Promise.all([0, 1, 2, 3].map(health))).every(({ status }) => status === 'ok'))
})

afterAll(async () => {
  await Promise.all(replicas.map((replica) => replica.stop()))
  await Promise.all([fake.close(), redis.stop()])
})

const urlOf = (replica: number, path: string): string => `${replicas[replica]?.url}${path}`
const json = async <T>(replica: number, path: string): Promise<T> =>
  (await (await fetch(urlOf(replica, path))).json()) as T
const health = (replica: number) => json<{ status: string }>(replica, '/health')
const statusOf = async (replica: number, path: string): Promise<string> =>
  (await fetch(urlOf(replica, path))).headers.get('cache-status') ?? ''

test('each asks upstream for itself, and within one fleet once', async () => {
  // A load that outlives its lease, as on a machine that stands still, is not kept.
  const isMemoryHit = async (replica: number) => (await statusOf(replica, '/8.8.8.8')).includes('detail=l1')
  expect(await statusOf(0, '/8.8.8.8')).toContain('fwd=miss')
  await until(() => isMemoryHit(0))
  expect(await statusOf(1, '/8.8.8.8')).toContain('detail=l2')
  for (const replica of [2, 3]) expect(await statusOf(replica, '/8.8.8.8')).toContain('fwd=miss')
  for (const replica of [1, 2, 3]) await until(() => isMemoryHit(replica))
})

test('a purge of one leaves the memory of the others', async () => {
  await fetch(urlOf(0, '/cache'), { method: 'DELETE' })
  expect(await statusOf(2, '/8.8.8.8')).toContain('detail=l1')
  expect(await statusOf(3, '/8.8.8.8')).toContain('detail=l1')
  await until(async () => !(await statusOf(1, '/8.8.8.8')).includes('detail=l1'))
})

test('each counts its own replicas', async () => {
  const counts = [0, 1, 2, 3].map(
    async (at) => (await json<Stats & { replicas: number }>(at, '/stats?scope=fleet')).replicas,
  )
  expect(await Promise.all(counts)).toEqual([2, 2, 1, 1])
})

test('a key that one has benched stays in the rotation of the others', async () => {
  const { keys } = await json<{ keys: readonly { id: string }[] }>(0, '/keys')
  await fetch(urlOf(0, `/keys/${keys[0]?.id}/bench?seconds=600`), { method: 'POST' })
  await until(async () => (await health(1)).status === 'degraded')
  expect(await Promise.all([2, 3].map(async (at) => (await fetch(urlOf(at, '/9.9.9.9'))).status))).toEqual([200, 200])
})

test('every key and channel begins with the name', async () => {
  await using observer = await observeRedis(redis.url)
  const keys = (await observer.call('KEYS', '*')) as string[]
  const channels = (await observer.call('PUBSUB', 'CHANNELS', '*')) as string[]
  expect(keys.filter((key) => !/^(ipfleet|blue):[\w-]+:\{/.test(key))).toEqual([])
  expect(channels.filter((channel) => !/^(ipfleet:[01]|blue:0):/.test(channel))).toEqual([])
  expect(new Set(channels.map((channel) => channel.split(':', 2).join(':')))).toEqual(
    new Set(['ipfleet:0', 'ipfleet:1', 'blue:0']),
  )
})
