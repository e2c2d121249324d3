import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { until } from '@ipfleet/testing/until.ts'
import type { Stats } from '../src/operations/stats.ts'
import { cacheStatus, type LocalFleet, startLocalFleet } from './local-fleet.ts'

let fleet: LocalFleet
beforeAll(async () => {
  fleet = await startLocalFleet({ replicas: 3, keys: ['key-1', 'key-2'] })
})
afterAll(() => fleet.stop())

type FleetStatsBody = Stats & { readonly replicas: number }

/** What each replica has said of where its answers came from. */
const told: readonly string[][] = [[], [], []]
async function ask(path: string, replica: number): Promise<string> {
  const status = cacheStatus(await fleet.ask(path, { replica }))
  told[replica]?.push(status)
  return status
}
/** A load that outlives its lease, as on a machine that stands still, is not kept. */
const untilKept = (path: string, replica: number) => until(async () => (await ask(path, replica)).includes('detail=l1'))

function countsOf(statuses: readonly string[], entries: number) {
  const hits = statuses.filter((status) => status.includes('; hit;')).length
  const misses = statuses.length - hits
  return {
    requests_total: statuses.length,
    requests_proxied: misses,
    requests_cached: hits,
    upstream_errors: 0,
    keys_exhausted: 0,
    cache: { hits, misses, size: entries, evictions: 0 },
    keys: { total: 2, active: 2, cooling: 0 },
  }
}

test('/stats counts one replica, /stats?scope=fleet all of them', async () => {
  await untilKept('/9.9.9.1', 0)
  await ask('/9.9.9.1', 0)
  // First of Redis, then of memory.
  expect(await ask('/9.9.9.1', 1)).toContain('detail=l2')
  await untilKept('/9.9.9.1', 1)
  await untilKept('/9.9.9.2', 2)
  for (const [replica, statuses] of told.entries()) {
    expect((await fleet.ask('/stats', { replica })).json()).toEqual(countsOf(statuses, 1))
  }
  for (const replica of [0, 1, 2]) {
    const sum = (await fleet.ask('/stats?scope=fleet', { replica })).json()
    expect(sum).toEqual({ ...countsOf(told.flat(), 3), replicas: 3 })
  }
})

test('a replica that has died is no longer counted', async () => {
  const [, , last] = fleet.replicas
  last?.kill('SIGKILL')
  await last?.exited
  const stats = (await fleet.ask('/stats?scope=fleet')).json() as FleetStatsBody
  expect([stats.replicas, stats.requests_total]).toEqual([2, told.slice(0, 2).flat().length])
})

test('/metrics tells of requests, keys and saved calls, with labels from closed sets only', async () => {
  const { text, headers } = await fleet.ask('/metrics')
  expect(headers['content-type']).toContain('text/plain')
  const hits = told[0]?.filter((status) => status.includes('detail=l1')).length
  expect(hits).toBeGreaterThanOrEqual(2)
  expect(text).toContain(`ipfleet_requests_total{route="lookup",status="2xx",cache="l1"} ${hits}`)
  expect(text).toContain(`ipfleet_upstream_calls_saved_total{by="l1"} ${hits}`)
  expect(text).toContain('ipfleet_keys{state="active"} 2')
  expect(text).toContain('process_cpu_seconds_total')
  expect(text).not.toMatch(/9\.9\.9\.|key-1/)
})
