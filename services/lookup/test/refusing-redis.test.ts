import { type FakeIpinfo, startFakeIpinfo } from '@ipfleet/testing/fake-ipinfo.ts'
import { observeRedis, type RedisObserver } from '@ipfleet/testing/redis-observer.ts'
import { makeNobody, makeReadmeUser, refusedASecond, urlOf } from '@ipfleet/testing/redis-users.ts'
import { type LogLine, startReplica } from '@ipfleet/testing/service-process.ts'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { until } from '@ipfleet/testing/until.ts'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { patientWithRedis, startLocalFleet } from './local-fleet.ts'

let redis: TestRedis
let observer: RedisObserver
let fake: FakeIpinfo

beforeAll(async () => {
  redis = await startTestRedis()
  observer = await observeRedis(redis.url)
  fake = await startFakeIpinfo()
  await makeNobody(observer)
})

afterAll(async () => {
  await observer[Symbol.asyncDispose]()
  await Promise.all([fake.close(), redis.stop()])
})

const isOfRedis = ({ msg }: LogLine): boolean => String(msg).startsWith('redis is away')

test.each([
  ['the password', () => urlOf('nobody', redis.url, 'canary'), /refuses the user or the password/],
  ['every command', () => urlOf('nobody', redis.url), /may not do/],
])('a Redis that refuses %s is told once and not pestered; look-ups and SIGTERM work', async (_what, url, reason) => {
  const replica = await startReplica({
    IPINFO_KEYS: 'only-key',
    IPINFO_BASE_URL: fake.url,
    IPINFO_API_BASE_URL: fake.apiUrl,
    REDIS_URL: url(),
    DRAIN_MS: '0',
  })
  const line = await replica.waitForLine(isOfRedis)
  expect(line['reason']).toMatch(reason)
  expect(await refusedASecond(observer)).toBeLessThan(100)
  expect((await fetch(`${replica.url}/8.8.8.8`)).status).toBe(200)
  const health: unknown = await (await fetch(`${replica.url}/health`)).json()
  expect(health).toMatchObject({ status: 'degraded', redis: { state: 'down' } })
  expect(await replica.stop()).toEqual({ code: 0, signal: null })
  expect(replica.lines().filter(isOfRedis)).toHaveLength(1)
  expect(replica.output()).not.toContain('canary')
})

test('the user of the README may do all that two replicas do', async () => {
  const own = await startTestRedis()
  const watcher = await observeRedis(own.url)
  await makeReadmeUser(watcher, 'lookup')
  const [token, admin] = ['client-token', 'admin-token']
  const fleet = await startLocalFleet({
    redis: own,
    replicas: 2,
    keys: ['a', 'b'],
    fake: { keys: { a: { lacks: ['privacy'] }, b: { monthlyQuota: 100_000 } } },
    env: {
      ...patientWithRedis,
      REDIS_URL: urlOf('lookup', own.url),
      CLIENT_TOKENS: `${token};requests=1000/hour;units=1000/day`,
      ADMIN_TOKEN: admin,
      QUOTA_POLL_SECONDS: '1',
      CACHE_TTL_SECONDS: '1',
      BREAKER_WINDOW_CALLS: '5',
      BREAKER_MIN_CALLS: '3',
      BREAKER_OPEN_SECONDS: '0.5',
      MICRO_BATCH_MS: '1',
    },
  })
  try {
    const headers = { authorization: `Bearer ${token}` }
    const ask = async (path: string, replica = 0, more = {}) =>
      (await fleet.ask(path, { replica, headers, ...more })).status
    const isUp = async () => (await fleet.ask('/health')).text.includes('"status":"ok"')
    await until(isUp)
    const paths = [
      '/8.8.8.8',
      '/8.8.8.8/city',
      '/AS15169',
      '/8.8.8.8/privacy',
      '/1.1.1.1/privacy',
      '/usage',
      '/lite/8.8.8.8',
    ]
    for (const path of paths) expect([await ask(path), await ask(path, 1)]).toEqual([200, 200])
    await Promise.all(Array.from({ length: 20 }, (_, at) => ask('/9.9.9.9', at % 2)))
    const body = JSON.stringify(['8.8.4.4', '8.8.4.4/city', 'AS1'])
    expect(await ask('/batch', 0, { method: 'POST', body })).toBe(200)
    expect(await ask('/tools/summarize-ips?cli=1', 0, { method: 'POST', body: '["8.8.4.4"]' })).toBeLessThan(500)
    expect(await ask('/me')).toBe(200)
    fleet.fake.behave({ kind: '429-storm', retryAfterSeconds: 1, times: 1 })
    expect(await ask('/9.9.9.10')).toBe(200)
    fleet.fake.behave({ kind: '403-storm', times: 1 })
    expect(await ask('/9.9.9.11')).toBeLessThan(500)
    const asAdmin = { headers: { authorization: `Bearer ${admin}` } }
    const { keys } = (await fleet.ask('/keys', asAdmin)).json() as { keys: readonly { id: string }[] }
    for (const action of ['bench?seconds=60', 'release']) {
      const path = `/keys/${keys[0]?.id}/${action}`
      expect((await fleet.ask(path, { method: 'POST', ...asAdmin })).status).toBeLessThan(300)
    }
    expect((await fleet.ask('/cache', { method: 'DELETE', ...asAdmin })).status).toBeLessThan(300)
    expect((await fleet.ask('/stats?scope=fleet', asAdmin)).json()).toMatchObject({ replicas: 2 })
    // A replica follows the breakers of what it has asked itself.
    expect(await ask('/9.9.9.12', 1)).toBe(200)
    const heal = fleet.fake.behave({ kind: 'status', status: 500 })
    await until(async () => {
      await ask(`/9.8.0.${address++}`)
      return (await fleet.ask('/health', { replica: 1 })).text.includes('"breaker":"open"')
    })
    heal()
    await until(async () => (await ask(`/9.8.1.${address++}`, 1)) === 200)
    for (const replica of fleet.replicas) expect((await replica.stop()).code).toBe(0)
    expect(await watcher.call('ACL', 'LOG')).toEqual([])
  } finally {
    await fleet.stop()
    await watcher[Symbol.asyncDispose]()
    await own.stop()
  }
})

let address = 0
