import { fileURLToPath } from 'node:url'
import type { Overview } from '@ipfleet/console/contract.ts'
import { type ServiceProcess, startService } from '@ipfleet/testing/service-process.ts'
import { until } from '@ipfleet/testing/until.ts'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { temporaryFolder } from '@ipfleet/testing/service-process-folder.ts'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type LocalFleet, patientWithRedis, startLocalFleet } from './local-fleet.ts'

/** What a console on this machine shows of the other services, which tell by Redis that they are there. */
let fleet: LocalFleet
const services: ServiceProcess[] = []
const entryOf = (service: string): string => fileURLToPath(new URL(`../../${service}/src/main.ts`, import.meta.url))
let folder: Awaited<ReturnType<typeof temporaryFolder>>
beforeAll(async () => {
  fleet = await startLocalFleet()
  folder = await temporaryFolder('console')
  const file = join(folder.path, 'proxy.toml')
  // Nothing listens on port 9.
  await writeFile(
    file,
    '[server]\nlisten = "127.0.0.1:0"\n[upstreams]\nbackends = ["http://127.0.0.1:9"]\n[health]\npath = "/"\n',
  )
  const env = { REDIS_URL: fleet.redis.url, LOG_FORMAT: 'json', DRAIN_MS: '0', ...patientWithRedis }
  services.push(
    ...(await Promise.all([
      startService({ entry: entryOf('edge'), args: ['--config', file], name: 'edge', env }),
      startService({
        entry: entryOf('egress'),
        name: 'egress',
        env: {
          ...env,
          LISTEN_ADDR: '127.0.0.1:0',
          METRICS_ADDR: 'off',
          IP_POOL: '127.0.0.1,192.0.2.9',
          ALLOW_TARGETS: 'loopback',
        },
      }),
      startService({
        entry: entryOf('bulk'),
        name: 'bulk',
        env: { ...env, PORT: '0', HOST: '127.0.0.1', LOOKUP_URL: fleet.replicas[0]?.url ?? '' },
      }),
    ])),
  )
})
afterAll(async () => {
  await Promise.all(services.map((service) => service.stop()))
  await folder.remove()
  await fleet.stop()
})

const overview = async (): Promise<Overview> => {
  const { port } = fleet.replicas[0] ?? {}
  return (await fleet.ask('/console/api/overview', { headers: { host: `localhost:${port}` } })).json() as Overview
}

test('an edge with its backends, an egress with its sources, a bulk service; one that stops is not missed', async () => {
  const view = await until(async () => {
    const now = await overview()
    const isTold = now.backends[0]?.lastError !== undefined && now.sources.some(({ state }) => state === 'down')
    return now.replicas.length === 4 && isTold && now
  })
  expect(view.replicas.map(({ service }) => service).toSorted()).toEqual(['bulk', 'edge', 'egress', 'lookup'])
  expect(view.backends).toEqual([
    expect.objectContaining({
      group: 'default',
      address: '127.0.0.1:9',
      state: 'down',
      lastError: expect.any(String),
    }),
  ])
  expect(view.sources).toContainEqual(
    expect.objectContaining({
      label: '192.0.2.9',
      state: 'down',
      tunnels: 0,
      reason: expect.stringContaining('does not have'),
    }),
  )
  expect(view.verdict).toMatchObject({
    state: 'red',
    sentence: expect.stringContaining('No backend of the group default'),
  })
  await services[0]?.stop()
  const after = await until(async () => {
    const now = await overview()
    return now.replicas.length === 3 && now
  })
  expect(after.backends).toEqual([])
})
