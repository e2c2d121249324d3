import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { httpClient, type LocalFleet, startLocalFleet } from './local-fleet.ts'

let redis: TestRedis
let fleet: LocalFleet
beforeAll(async () => {
  redis = await startTestRedis()
  fleet = await startLocalFleet({ redis, env: { MICRO_BATCH_MS: '1000' } })
  // A replica's first answer takes longest; those that are counted are to come within one window.
  await fleet.ask('/9.9.6.1')
  fleet.fake.clearCalls()
})
afterAll(async () => {
  await fleet.stop()
  await redis.stop()
})
afterEach(() => fleet.fake.clearCalls())

describe('with MICRO_BATCH_MS single queries', () => {
  test('that come at the same time leave as one batch for each product, and are answered as if asked alone', async () => {
    const paths = ['/9.9.9.1', '/9.9.9.2/json', '/AS15169', '/AS0', '/9.9.9.3/privacy', '/9.9.9.4/city']
    const replies = await Promise.all(paths.map((path) => fleet.ask(path)))
    // One for each product: addresses, AS numbers, a module.
    expect(fleet.fake.calls.map(({ method, path }) => `${method} ${path}`)).toEqual(Array(3).fill('POST /batch'))
    const client = httpClient()
    for (const [at, path] of paths.entries()) {
      const direct = await client.ask(fleet.fake.url, path, { headers: { authorization: 'Bearer test-key-1' } })
      const { status, text, headers } = replies[at] ?? direct
      expect([path, status, text, headers['content-type']]).toEqual([
        path,
        direct.status,
        direct.text,
        direct.headers['content-type'],
      ])
    }
    client.close()
  })

  test('about a Lite record leave as a batch of Lite, which costs no quota', async () => {
    await Promise.all(['/lite/9.9.9.1', '/lite/9.9.9.2/country'].map((path) => fleet.ask(path)))
    expect(fleet.fake.calls.map(({ path, items }) => [path, items?.length])).toEqual([['/batch/lite', 2]])
  })

  test('that are alone, or that no batch takes, are asked as they are', async () => {
    await fleet.ask('/9.9.8.1')
    await Promise.all(['/whois/net/NET-1', '/domains/9.9.8.2?limit=5'].map((path) => fleet.ask(path)))
    expect(fleet.fake.calls.map(({ method, path }) => [method, path])).toEqual([
      ['GET', '/9.9.8.1'],
      ['GET', '/whois/net/NET-1'],
      ['GET', '/domains/9.9.8.2?limit=5'],
    ])
  })

  test('share what goes wrong with their batch', async () => {
    fleet.fake.behave({ kind: 'status', status: 500, paths: ['/batch'], times: 1 })
    const replies = await Promise.all(['/9.9.7.1', '/9.9.7.2'].map((path) => fleet.ask(path)))
    expect(replies.map(({ status }) => status)).toEqual([502, 502])
    expect(fleet.fake.calls).toHaveLength(1)
  })
})
