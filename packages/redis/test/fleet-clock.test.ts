import { once } from 'node:events'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { FleetClock } from '../src/fleet-clock.ts'
import { RedisLink } from '../src/redis-link.ts'
import { until } from '@ipfleet/testing/until.ts'

/** Far more than a machine's clock and Redis's differ, or a calibration errs, on one host. */
const closeMs = 60_000
const hourMs = 3_600_000
let redis: TestRedis
let link: RedisLink
let clock: FleetClock
let trueWall: () => number

beforeEach(async () => {
  redis = await startTestRedis()
  link = new RedisLink({ url: redis.url, name: 'test', timeoutMs: 15_000 })
  const realNow = Date.now.bind(Date)
  trueWall = realNow
  jest.spyOn(Date, 'now').mockImplementation(() => realNow() + hourMs)
  clock = new FleetClock()
})

afterEach(async () => {
  clock.close()
  link.close()
  await redis.stop()
  jest.restoreAllMocks()
})

const isRight = (): boolean => Math.abs(clock.epochMs() - trueWall()) < closeMs

describe('the fleet’s clock', () => {
  test('is Redis’s as soon as Redis answers, however wrong this machine’s is', async () => {
    expect(isRight()).toBe(false)
    clock.follow(link)
    await until(isRight)
  })

  test('is Redis’s also when the connection had been there before', async () => {
    await once(link, 'up')
    clock.follow(link)
    await until(isRight)
  })

  test('goes on evenly while Redis is away', async () => {
    clock.follow(link)
    await until(isRight)
    const down = once(link, 'down')
    await redis.kill()
    await down
    const beforeMs = clock.epochMs()
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(clock.epochMs()).toBeGreaterThan(beforeMs)
    expect(isRight()).toBe(true)
  })
})
