import { expect } from '@jest/globals'
import { type ZipfTraffic, zipfPaths } from '@ipfleet/testing/zipf-paths.ts'
import { mostCalls, startLocalFleet } from './local-fleet.ts'

/** Sends Zipf traffic to four replicas by forty clients, and expects one upstream call for each query. */
export async function expectOneCallForEachQuery(traffic: ZipfTraffic): Promise<void> {
  // None is given up on a busy machine.
  const env = { REQUEST_TIMEOUT_MS: '25000' }
  await using fleet = await startLocalFleet({ replicas: 4, fake: { latencyMs: 20 }, env })
  const paths = zipfPaths(traffic)
  let next = 0
  const statuses = new Set<number>()
  const client = async (replica: number): Promise<void> => {
    for (let path = paths[next++]; path !== undefined; path = paths[next++]) {
      statuses.add((await fleet.ask(path, { replica })).status)
    }
  }
  await Promise.all(Array.from({ length: 40 }, (_, index) => client(index % 4)))
  expect(statuses).toEqual(new Set([200]))
  const distinct = new Set(paths).size
  expect(fleet.fake.stats().total).toBeGreaterThanOrEqual(distinct)
  expect(fleet.fake.stats().total).toBeLessThanOrEqual(await mostCalls(fleet, distinct))
}
