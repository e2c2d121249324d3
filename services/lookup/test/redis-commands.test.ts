import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { cacheStatus, type LocalFleet, patientWithRedis, startLocalFleet } from './local-fleet.ts'
import { countRedisWaits } from '@ipfleet/testing/redis-waits.ts'
import { startReplica } from '@ipfleet/testing/service-process.ts'
import { observeRedis, type RedisObserver, type SeenCommand } from '@ipfleet/testing/redis-observer.ts'

/** What an answer costs Redis, in commands. Counted by MONITOR. */
let fleet: LocalFleet
let observer: RedisObserver
beforeAll(async () => {
  fleet = await startLocalFleet({ replicas: 2, env: patientWithRedis })
  observer = await observeRedis(fleet.redis.url)
  // Scripts are sent once per server, and what a key's records hold is noted once a day; that is no part of what an
  // answer costs. There are three keys.
  await fleet.askAll(6, (index) => `/9.9.8.${index >> 1}`)
})
afterAll(async () => {
  await observer[Symbol.asyncDispose]()
  await fleet.stop()
})

/** What runs on timers, whether anyone asks or not: probes, the subscriber's renewal, the clock. */
const background = new Set(['ping', 'time', 'subscribe', 'info', 'client', 'hello'])
/** By which a replica tells every few seconds of itself and of what it answered. */
const isOwn = ({ args }: SeenCommand): boolean => args.some((arg) => /^ipfleet:(presence|flow):/.test(arg))

/** What a request made Redis do, without what the server did inside of scripts. */
async function costOf(work: () => Promise<unknown>): Promise<SeenCommand[]> {
  // What stands behind the answer to an earlier request is no cost of this one.
  await observer.caughtUp()
  observer.clear()
  await work()
  await observer.caughtUp()
  return observer.commands().filter((command) => !command.inner && !background.has(command.name) && !isOwn(command))
}

test('a cold miss costs at most 8 commands', async () => {
  const cost = await costOf(async () => {
    expect(cacheStatus(await fleet.ask('/9.9.9.1'))).toContain('fwd=miss')
  })
  expect(cost.length).toBeGreaterThan(0)
  expect(cost.length).toBeLessThanOrEqual(8)
})

test('among misses, a cold miss waits for Redis twice before upstream is asked, and once behind it', async () => {
  const waits = await countRedisWaits(fleet.redis.port)
  const replica = await startReplica({
    IPINFO_KEYS: 'key-1,key-2',
    IPINFO_BASE_URL: fleet.fake.url,
    REDIS_URL: `redis://127.0.0.1:${waits.port}`,
    ...patientWithRedis,
    QUOTA_POLL_SECONDS: '0',
  })
  const counts: { readonly before: number; readonly all: number }[] = []
  try {
    // The lease is asked for ahead where look-ups find nothing.
    await Promise.all(Array.from({ length: 20 }, (_, at) => fetch(`${replica.url}/9.9.11.${at}`)))
    for (let at = 0; at < 8; at += 1) {
      const start = waits.count
      const gate = fleet.fake.hold()
      const asked = fetch(`${replica.url}/9.9.10.${at}`)
      await fleet.fake.waitForCalls(fleet.fake.calls.length + 1)
      const before = waits.count - start
      gate.release()
      expect((await asked).status).toBe(200)
      await observer.caughtUp()
      counts.push({ before, all: waits.count - start })
    }
  } finally {
    await replica.stop()
    waits.close()
  }
  // In some there are a probe, or a pause of a process between two commands; in one at least there is neither.
  expect(Math.min(...counts.map(({ before }) => before))).toBeLessThanOrEqual(2)
  expect(Math.min(...counts.map(({ all }) => all))).toBeLessThanOrEqual(3)
})

test('a hit in Redis costs exactly one, a GET', async () => {
  await fleet.ask('/9.9.9.2', { replica: 0 })
  const cost = await costOf(async () => {
    expect(cacheStatus(await fleet.ask('/9.9.9.2', { replica: 1 }))).toContain('detail=l2')
  })
  expect(cost).toEqual([
    { name: 'get', args: [expect.stringMatching(/^ipfleet:answer:\{\w+\}:\d+:\/9\.9\.9\.2$/)], inner: false },
  ])
})

test('a hit in memory costs none', async () => {
  await fleet.ask('/9.9.9.3')
  const cost = await costOf(async () => {
    expect(cacheStatus(await fleet.ask('/9.9.9.3'))).toContain('detail=l1')
  })
  expect(cost).toEqual([])
})
