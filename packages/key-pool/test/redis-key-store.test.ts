import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { RedisUnavailable } from '@ipfleet/redis/redis-unavailable.ts'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { RedisKeyStore } from '../src/redis-key-store.ts'
import { eventually } from './eventually.ts'
import { fleetLink } from './fleet-link.ts'
import { keyQuotaContract } from './key-quota-contract.ts'
import { keyScopeContract } from './key-scope-contract.ts'
import { keyStoreContract, type OpenStores } from './key-store-contract.ts'

const replicas = 3
const trialMs = 60_000

let redis: TestRedis
let links: RedisLink[]

beforeAll(async () => {
  redis = await startTestRedis()
  links = await Promise.all(Array.from({ length: replicas }, (_, index) => fleetLink(redis.url, `replica-${index}`)))
})

afterAll(async () => {
  for (const link of links) link.close()
  await redis.stop()
})

beforeEach(() => links[0]?.run((client) => client.flushall()))

test('without an answer from Redis every method throws RedisUnavailable', async () => {
  const other = await startTestRedis()
  const link = await fleetLink(other.url, 'lost')
  try {
    await other.stop()
    const store = new RedisKeyStore(link, { trialMs })
    await expect(store.take(['a'])).rejects.toThrow(RedisUnavailable)
    await expect(store.read(['a'])).rejects.toThrow(RedisUnavailable)
    await expect(store.endTrial('a', 'unknown')).rejects.toThrow(RedisUnavailable)
    await expect(store.release('a')).rejects.toThrow(RedisUnavailable)
    await expect(store.quotas(['a'])).rejects.toThrow(RedisUnavailable)
    const report = store.reportQuota({ id: 'a', source: 'account', remaining: 1, resetMs: 1 })
    await expect(report).rejects.toThrow(RedisUnavailable)
    await expect(store.bench({ id: 'a', reason: 'limited', durationMs: 1 })).rejects.toThrow(RedisUnavailable)
  } finally {
    link.close()
    await other.stop()
  }
})

const openShared: OpenStores = async (options) => ({
  stores: links.map((link) => new RedisKeyStore(link, options)),
  moment: () => new Promise((resolve) => setTimeout(resolve, 10)),
  close: async () => {},
})

keyStoreContract('RedisKeyStore', openShared)
keyQuotaContract('RedisKeyStore', openShared)
keyScopeContract('RedisKeyStore', openShared)

describe('state in Redis', () => {
  test('benches and strikes outlive the replica that made them', async () => {
    const bench = { id: 'a', reason: 'limited', durationMs: 30, doublingUpToMs: 60_000 } as const
    const gone = await fleetLink(redis.url, 'gone')
    await new RedisKeyStore(gone, { trialMs }).bench(bench)
    gone.close()
    const newcomer = await fleetLink(redis.url, 'newcomer')
    try {
      const store = new RedisKeyStore(newcomer, { trialMs })
      await eventually('the end of the bench', async () => (await store.read(['a']))[0]?.state === 'trial')
      expect(await store.bench(bench)).toBe(60)
    } finally {
      newcomer.close()
    }
  })

  test('everything has a TTL: a day after the last bench at the least', async () => {
    const link = links[0] as RedisLink
    const store = new RedisKeyStore(link, { trialMs })
    await store.bench({ id: 'a', reason: 'limited', durationMs: 1 })
    await eventually('the trial', async () => (await store.take(['a'])).kind === 'key')
    await store.endTrial('a', 'unknown')
    await store.take(['a', 'b'])
    await store.reportQuota({ id: 'a', source: 'reply', remaining: 9, resetMs: 1 })
    const keys = await link.run((client) => client.keys('*'))
    const names = ['benches', 'cursor', 'quotas'].map((name) => `ipfleet:keys:{pool}:${name}`)
    expect(keys.toSorted()).toEqual(names)
    for (const key of keys) {
      const ttlMs = await link.run((client) => client.pttl(key))
      expect(ttlMs).toBeGreaterThan(86_000_000)
      expect(ttlMs).toBeLessThanOrEqual(86_400_001)
    }
  })

  test('a short bench does not make Redis forget a long one', async () => {
    const link = links[0] as RedisLink
    const store = new RedisKeyStore(link, { trialMs })
    await store.bench({ id: 'a', reason: 'denied', durationMs: 86_400_000 })
    await store.bench({ id: 'b', reason: 'limited', durationMs: 1000 })
    expect(await link.run((client) => client.pttl('ipfleet:keys:{pool}:benches'))).toBeGreaterThan(172_000_000)
  })

  test('a key that recovered leaves nothing behind', async () => {
    const link = links[0] as RedisLink
    const store = new RedisKeyStore(link, { trialMs })
    await store.bench({ id: 'a', reason: 'limited', durationMs: 1 })
    await eventually('the trial', async () => (await store.take(['a'])).kind === 'key')
    await store.endTrial('a', 'recovered')
    expect(await link.run((client) => client.exists('ipfleet:keys:{pool}:benches'))).toBe(0)
  })
})
