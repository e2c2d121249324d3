import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { cacheStatus, type LocalFleet, startLocalFleet } from './local-fleet.ts'
import { observeRedis, type RedisObserver, type SeenCommand } from '@ipfleet/testing/redis-observer.ts'

/** What an answer costs Redis, in commands. Counted by MONITOR. */
let fleet: LocalFleet
let observer: RedisObserver
beforeAll(async () => {
  fleet = await startLocalFleet({ replicas: 2 })
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

/** What a request made Redis do, without what the server did inside of scripts. */
async function costOf(work: () => Promise<unknown>): Promise<SeenCommand[]> {
  observer.clear()
  await work()
  await observer.caughtUp()
  return observer.commands().filter(({ name, inner }) => !inner && !background.has(name))
}

test('a cold miss costs at most 8 commands', async () => {
  const cost = await costOf(async () => {
    expect(cacheStatus(await fleet.ask('/9.9.9.1'))).toContain('fwd=miss')
  })
  expect(cost.length).toBeGreaterThan(0)
  expect(cost.length).toBeLessThanOrEqual(8)
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
