import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals'
import { healthOf, type LocalFleet, startLocalFleet } from './local-fleet.ts'

/**
 * What a single rate-limit-proof proxy promises (github.com/zeljkovranjes/ipinfo-round-robin-api checks these eight),
 * on a replica.
 */
let fleet: LocalFleet
beforeAll(async () => {
  fleet = await startLocalFleet({ keys: ['only-key'] })
})
afterAll(() => fleet.stop())
afterEach(() => fleet.fake.heal())

test('a look-up of an address is answered with what upstream says, asked with a key of the pool', async () => {
  const reply = await fleet.ask('/8.8.8.8')
  expect(reply.status).toBe(200)
  expect(reply.json()).toMatchObject({ ip: '8.8.8.8', country: 'US' })
  expect(fleet.fake.callsTo('/8.8.8.8')).toMatchObject([{ method: 'GET', token: 'only-key' }])
})

test('the second request for the same is served from the cache', async () => {
  const first = await fleet.ask('/1.1.1.1')
  const second = await fleet.ask('/1.1.1.1')
  expect([second.status, second.text]).toEqual([200, first.text])
  expect(fleet.fake.callsTo('/1.1.1.1')).toHaveLength(1)
})

test.each(['no-cache', 'no-store', 'max-age=0, No-Cache'])(
  'Cache-Control: %s asks upstream each time',
  async (value) => {
    const path = '/2.2.2.2'
    fleet.fake.clearCalls()
    for (let round = 0; round < 2; round += 1) {
      const reply = await fleet.ask(path, { headers: { 'cache-control': value } })
      expect([reply.status, reply.headers['cache-status']]).toEqual([200, 'ipfleet; fwd=bypass; fwd-status=200'])
    }
    expect(fleet.fake.callsTo(path)).toHaveLength(2)
  },
)

test('the content type is upstream’s', async () => {
  const reply = await fleet.ask('/4.4.4.4/country')
  expect([reply.status, reply.headers['content-type']]).toEqual([200, 'text/plain; charset=utf-8'])
  const record = await fleet.ask('/4.4.4.5')
  expect(record.headers['content-type']).toBe('application/json; charset=utf-8')
})

test('/health says ok as long as a key is active', async () => {
  const reply = await fleet.ask('/health')
  expect([reply.status, reply.json()]).toEqual([
    200,
    {
      status: 'ok',
      keys: { total: 1, active: 1, cooling: 0 },
      redis: { state: 'up', cache: 'up' },
      upstream: { breaker: 'closed' },
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
    },
  ])
})

test('DELETE /cache answers 204, and the next request asks upstream again', async () => {
  await fleet.ask('/5.5.5.5')
  const reply = await fleet.ask('/cache', { method: 'DELETE' })
  expect([reply.status, reply.body.length]).toEqual([204, 0])
  await fleet.ask('/5.5.5.5')
  expect(fleet.fake.callsTo('/5.5.5.5')).toHaveLength(2)
})

test('a 429 from upstream benches the key; with all keys benched the answer is 503 with Retry-After', async () => {
  fleet.fake.behave({ kind: '429-storm' })
  await fleet.ask('/3.3.3.3')
  expect(await healthOf(fleet)).toMatchObject({ status: 'degraded', keys: { total: 1, active: 0, cooling: 1 } })
  fleet.fake.clearCalls()
  const reply = await fleet.ask('/3.3.3.4')
  expect(reply.status).toBe(503)
  // COOLDOWN_SECONDS is 60 unless set.
  expect(Number(reply.headers['retry-after'])).toBeGreaterThan(50)
  expect(Number(reply.headers['retry-after'])).toBeLessThanOrEqual(60)
  expect(fleet.fake.calls).toEqual([])
})

test('/stats has the shape that such a proxy’s dashboards know', async () => {
  const stats = (await fleet.ask('/stats')).json() as Record<string, unknown>
  expect(stats).toEqual({
    requests_total: expect.any(Number),
    requests_proxied: expect.any(Number),
    requests_cached: 1,
    upstream_errors: 0,
    keys_exhausted: 2,
    cache: { hits: 1, misses: expect.any(Number), size: expect.any(Number), evictions: 0 },
    keys: { total: 1, active: 0, cooling: 1 },
  })
})
