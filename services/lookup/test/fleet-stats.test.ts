import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { Stats } from '../src/operations/stats.ts'
import { type LocalFleet, startLocalFleet } from './local-fleet.ts'

let fleet: LocalFleet
beforeAll(async () => {
  fleet = await startLocalFleet({ replicas: 3, keys: ['key-1', 'key-2'] })
})
afterAll(() => fleet.stop())

type FleetStatsBody = Stats & { readonly replicas: number }

test('/stats counts one replica, /stats?scope=fleet all of them', async () => {
  // Replica 0: a miss and two hits. 1: a hit in Redis and one in memory. 2: a miss.
  for (const replica of [0, 0, 0, 1, 1]) await fleet.ask('/9.9.9.1', { replica })
  await fleet.ask('/9.9.9.2', { replica: 2 })
  const own = [0, 1, 2].map(async (replica) => (await fleet.ask('/stats', { replica })).json() as Stats)
  const [first, second, third] = await Promise.all(own)
  expect(first).toEqual({
    requests_total: 3,
    requests_proxied: 1,
    requests_cached: 2,
    upstream_errors: 0,
    keys_exhausted: 0,
    cache: { hits: 2, misses: 1, size: 1, evictions: 0 },
    keys: { total: 2, active: 2, cooling: 0 },
  })
  expect(second).toMatchObject({ requests_total: 2, requests_proxied: 0, requests_cached: 2 })
  expect(third).toMatchObject({ requests_total: 1, requests_proxied: 1, requests_cached: 0 })
  for (const replica of [0, 1, 2]) {
    expect((await fleet.ask('/stats?scope=fleet', { replica })).json() as FleetStatsBody).toEqual({
      requests_total: 6,
      requests_proxied: 2,
      requests_cached: 4,
      upstream_errors: 0,
      keys_exhausted: 0,
      cache: { hits: 4, misses: 2, size: 3, evictions: 0 },
      keys: { total: 2, active: 2, cooling: 0 },
      replicas: 3,
    })
  }
})

test('a replica that has died is no longer counted', async () => {
  const [, , last] = fleet.replicas
  last?.kill('SIGKILL')
  await last?.exited
  const stats = (await fleet.ask('/stats?scope=fleet')).json() as FleetStatsBody
  expect([stats.replicas, stats.requests_total]).toEqual([2, 5])
})

test('/metrics tells of requests, keys and saved calls, with labels from closed sets only', async () => {
  const { text, headers } = await fleet.ask('/metrics')
  expect(headers['content-type']).toContain('text/plain')
  expect(text).toContain('ipfleet_requests_total{route="lookup",status="2xx",cache="l1"} 2')
  expect(text).toContain('ipfleet_upstream_calls_saved_total{by="l1"} 2')
  expect(text).toContain('ipfleet_keys{state="active"} 2')
  expect(text).toContain('process_cpu_seconds_total')
  expect(text).not.toMatch(/9\.9\.9\.|key-1/)
})
