import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type FaultyTcpProxy, startFaultyTcpProxy } from '@ipfleet/testing/faulty-tcp-proxy.ts'
import { startTestRedis } from '@ipfleet/testing/test-redis.ts'
import { until } from '@ipfleet/testing/until.ts'
import { cacheStatus, defaultKeys, healthOf, type LocalFleet, startLocalFleet } from './local-fleet.ts'

/** A Redis that answers, but so late that a few waits for it are more than a request has time for. */

const budgetMs = 900
/** Of a command: half of it each way. One is within the budget, two are not. */
const roundTripMs = 600

let fleet: LocalFleet
let link: FaultyTcpProxy
const closing = new AsyncDisposableStack()
afterAll(() => closing.disposeAsync())

beforeAll(async () => {
  const redis = await startTestRedis()
  closing.defer(() => redis.stop())
  link = await startFaultyTcpProxy({ targetPort: redis.port })
  closing.defer(() => link.close())
  const env = { REDIS_URL: `redis://127.0.0.1:${link.port}`, REDIS_TIMEOUT_MS: String(budgetMs) }
  fleet = await startLocalFleet({ redis, replicas: 2, env })
  closing.defer(() => fleet.stop())
})

/** A replica that stood still has given Redis up, and its test takes more round trips than it has time for. */
async function slowForAll(): Promise<void> {
  await link.mode('pass')
  for (const replica of [0, 1]) await until(async () => (await healthOf(fleet, replica)).status === 'ok')
  await link.mode({ delayMs: roundTripMs / 2 })
}

let asked = 0

/** For an address that no replica has been asked for. */
const newPath = (): string => {
  asked += 1
  return `/9.3.${asked >> 8}.${asked & 255}`
}

/** How long a look-up took that no replica has made before. */
async function missMs(): Promise<number> {
  await slowForAll()
  const startedMs = performance.now()
  expect((await fleet.ask(newPath())).status).toBe(200)
  return performance.now() - startedMs
}

test('a request waits for it no longer than REDIS_TIMEOUT_MS in all', async () => {
  // The answer, the lease and the key one after the other would never take less than three round trips.
  await until(async () => (await missMs()) < 2.5 * roundTripMs)
})

test('what was found is shared all the same, and so is that a key rests', async () => {
  await until(async () => {
    const path = newPath()
    await slowForAll()
    await fleet.ask(path)
    // A replica that Redis answers too late has it from upstream, and from then on from memory.
    return cacheStatus(await fleet.ask(path, { replica: 1 })).includes('detail=l2')
  })
  fleet.fake.behave({ kind: '429-storm', tokens: [defaultKeys[1]], times: 1 })
  await until(async () => (await missMs()) > 0 && (await healthOf(fleet, 1)).keys.cooling === 1)
})
