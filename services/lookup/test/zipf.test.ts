import { expect, test } from '@jest/globals'
import { zipfPaths } from '@ipfleet/testing/zipf-paths.ts'
import { patientWithRedis, startLocalFleet } from './local-fleet.ts'

/** What a fleet asks upstream under the traffic that it is made for. */
const traffic = { requests: 10_000, popular: 1500, oneOffShare: 0.1 }

test.each([0.8, 1.1])(
  'Zipf traffic (s = %d) over four replicas asks upstream once for each query',
  async (s) => {
    await using fleet = await startLocalFleet({
      replicas: 4,
      env: patientWithRedis,
      fake: { latencyMs: 20 },
    })
    const paths = zipfPaths({ ...traffic, exponent: s })
    let next = 0
    const statuses = new Set<number>()
    const client = async (replica: number): Promise<void> => {
      for (let path = paths[next++]; path !== undefined; path = paths[next++]) {
        statuses.add((await fleet.ask(path, { replica })).status)
      }
    }
    await Promise.all(Array.from({ length: 40 }, (_, index) => client(index % 4)))
    expect(statuses).toEqual(new Set([200]))
    expect(fleet.fake.stats().total).toBe(new Set(paths).size)
  },
  60_000,
)
