import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type ServiceProcess, startService } from '@ipfleet/testing/service-process.ts'
import { until } from '@ipfleet/testing/until.ts'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { httpClient, type LocalFleet, patientWithRedis, startLocalFleet } from './local-fleet.ts'

/** A request that the edge asks of a second replica, because the first is silent, costs its client as much as any other. */

const token = 'budgeted-client-token'
const authorization = { authorization: `Bearer ${token}` }
const direct = httpClient()
let fleet: LocalFleet
let edge: ServiceProcess
let folder: string
beforeAll(async () => {
  fleet = await startLocalFleet({
    replicas: 2,
    env: { CLIENT_TOKENS: `${token};requests=9/hour;units=1000/hour`, TRUST_PROXY: 'loopback', ...patientWithRedis },
  })
  folder = await mkdtemp(join(tmpdir(), 'ipfleet-behind-edge-'))
  const config = join(folder, 'edge.toml')
  await writeFile(
    config,
    `[server]
listen = "127.0.0.1:0"
[upstreams]
backends = ${JSON.stringify(fleet.replicas.map(({ port }) => `http://127.0.0.1:${port}`))}
[retry]
hedge_after_ms = 250
[rate_limit]
max_requests = 1000
`,
  )
  const env = { REDIS_URL: fleet.redis.url, ...patientWithRedis, LOG_FORMAT: 'json', DRAIN_MS: '0' }
  const entry = fileURLToPath(new URL('../../edge/src/main.ts', import.meta.url))
  edge = await startService({ entry, args: ['--config', config], name: 'edge', env })
})
afterAll(async () => {
  direct.close()
  await edge.stop()
  await fleet.stop()
  await rm(folder, { recursive: true })
})

const ask = (path: string, headers: Record<string, string> = authorization) => direct.ask(edge.url, path, { headers })

/** What `GET /usage` says, through a replica. */
async function used(): Promise<{ readonly requests: number; readonly units: number }> {
  const { budgets } = (await fleet.ask('/usage', { headers: authorization })).json() as {
    budgets: Record<'requests' | 'units', { used: number }>
  }
  return { requests: budgets.requests.used, units: budgets.units.used }
}

async function hedges(): Promise<number> {
  const { text } = await ask('/metrics')
  return Number(/^ipfleet_edge_hedges_total\{end="begun"\} (\d+)/m.exec(text)?.[1])
}

/** Upstream answers when the edge has asked a second replica. */
async function askedOfBoth(path: string) {
  const before = await hedges()
  const gate = fleet.fake.hold()
  const answer = ask(path)
  await until(async () => (await hedges()) > before)
  gate.release()
  return answer
}

test('a look-up that upstream is slow to answer costs one request and one unit, at the edge and in the fleet', async () => {
  const first = await askedOfBoth('/9.13.1.1')
  expect(first.status).toBe(200)
  expect(fleet.fake.callsTo('/9.13.1.1')).toHaveLength(1)
  await until(async () => (await used()).units === 1)
  expect(await used()).toEqual({ requests: 1, units: 1 })
  const second = await ask('/9.13.1.1')
  const left = [first, second].map(({ headers }) => Number(headers['x-rate-limit-remaining']))
  expect((left[0] ?? 0) - (left[1] ?? 0)).toBe(1)
})

test('the last request of a budget is answered although two replicas are asked', async () => {
  while ((await used()).requests < 8) await ask('/9.13.1.1')
  expect((await askedOfBoth('/9.13.1.2')).status).toBe(200)
  expect((await ask('/9.13.1.1')).status).toBe(429)
})

test('a client that calls its request a further attempt is counted as always', async () => {
  const reply = await ask('/9.13.1.1', { ...authorization, 'x-ipfleet-attempt': '2' })
  expect(reply.status).toBe(429)
})
