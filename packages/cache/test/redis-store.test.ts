import { once } from 'node:events'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { Entry } from '../src/entry.ts'
import {
  type Admin,
  connectAdmin,
  joinedReplica,
  openReplica,
  type Replica,
  storedIn,
  storeIn,
  watchCommands,
} from './replica.ts'

const cleanups: (() => unknown)[] = []
let redis: TestRedis
let admin: Admin

beforeEach(async () => {
  redis = await startTestRedis()
  admin = await connectAdmin(redis.url)
  cleanups.push(
    () => redis.stop(),
    () => admin.disconnect(),
  )
})

afterEach(async () => {
  jest.restoreAllMocks()
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

async function joined(staleForMs = 60_000, timeoutMs?: number): Promise<Replica> {
  const replica = await joinedReplica({ url: redis.url, staleForMs, ...(timeoutMs !== undefined && { timeoutMs }) })
  cleanups.push(() => replica.close())
  return replica
}

const answer = { status: 200, contentType: 'application/json', body: Buffer.from([0, 10, 255]) }
const freshEntry = (ageMs = 0, freshForMs = 10_000): Entry => new Entry(answer, performance.now() - ageMs, freshForMs)

async function answerKey(): Promise<string> {
  const [key = ''] = await admin.keys('ipfleet:answer:*')
  return key
}

describe('the shared tier', () => {
  test('brings an answer back to every replica as it was, with its age', async () => {
    const [a, b] = await Promise.all([joined(), joined()])
    await storeIn(a, '/8.8.8.8', freshEntry(60_000, 100_000))
    const entry = await storedIn(b, '/8.8.8.8')
    expect(entry?.answer).toEqual(answer)
    expect(entry?.freshForMs).toBe(100_000)
    // Calibration against Redis errs by a round trip.
    expect(entry?.ageMs(performance.now())).toBeGreaterThan(50_000)
    expect(entry?.ageMs(performance.now())).toBeLessThan(70_000)
  })

  test('has nothing for a query that was not stored', async () => {
    const replica = await joined()
    expect(await storedIn(replica, '/8.8.8.8')).toBeUndefined()
  })

  test('keeps an answer for its freshness and for as long as a stale copy is of use', async () => {
    const replica = await joined(60_000)
    await storeIn(replica, '/8.8.8.8', freshEntry(4000, 10_000))
    const leftMs = await admin.pttl(await answerKey())
    expect(leftMs).toBeLessThanOrEqual(66_001)
    expect(leftMs).toBeGreaterThan(56_000)
  })

  test('does not store what would be of no use to anyone', async () => {
    const replica = await joined(1000)
    await storeIn(replica, '/8.8.8.8', freshEntry(11_001, 10_000))
    expect(await answerKey()).toBe('')
  })

  test('does not find after a purge what was stored before it', async () => {
    const replica = await joined()
    await storeIn(replica, '/8.8.8.8', freshEntry())
    await replica.generation.purge()
    expect(await storedIn(replica, '/8.8.8.8')).toBeUndefined()
  })

  test.each(['', 'garbage', 'garbage\nbody', '{"v":1,"status":200,"type":"text/plain"}\nbody'])(
    'does not find what makes no sense: %j',
    async (bytes) => {
      const replica = await joined()
      await storeIn(replica, '/8.8.8.8', freshEntry())
      await admin.set(await answerKey(), bytes)
      expect(await storedIn(replica, '/8.8.8.8')).toBeUndefined()
    },
  )

  test('a hit is one command, and so is storing', async () => {
    const replica = await joined()
    const watch = await watchCommands(redis.url, '/8.8.8.8')
    await storeIn(replica, '/8.8.8.8', freshEntry())
    await storedIn(replica, '/8.8.8.8')
    await watch.stop()
    expect(watch.commands()).toEqual(['set', 'get'])
  })

  test('ages agree between replicas whose wall clocks do not', async () => {
    const realNow = Date.now.bind(Date)
    const wall = jest.spyOn(Date, 'now').mockImplementation(() => realNow() + 3_600_000)
    const ahead = await joined()
    wall.mockImplementation(() => realNow() - 3_600_000)
    const behind = await joined()
    await ahead.link.run((client) => client.ping())
    await storeIn(ahead, '/8.8.8.8', freshEntry(60_000, 100_000))
    const entry = await storedIn(behind, '/8.8.8.8')
    expect(entry?.ageMs(performance.now())).toBeGreaterThan(50_000)
    expect(entry?.ageMs(performance.now())).toBeLessThan(70_000)
  })
})

describe('a Redis that fails', () => {
  test('is away until the generation is known', async () => {
    await redis.kill()
    const replica = openReplica({ url: redis.url })
    cleanups.push(() => replica.close())
    await expect(storedIn(replica, '/8.8.8.8')).rejects.toMatchObject({ name: 'RedisUnavailable', reason: 'down' })
    await expect(storeIn(replica, '/8.8.8.8', freshEntry())).rejects.toMatchObject({ reason: 'down' })
  })

  test('hung, it is away', async () => {
    const replica = await joined(60_000, 1000)
    const down = once(replica.link, 'down')
    await redis.pause()
    await expect(storedIn(replica, '/8.8.8.8')).rejects.toMatchObject({ name: 'RedisUnavailable' })
    await down
    await expect(storedIn(replica, '/8.8.8.8')).rejects.toMatchObject({ reason: 'down' })
  })

  test('full, it still gives what it has', async () => {
    const replica = await joined()
    await storeIn(replica, '/8.8.8.8', freshEntry())
    await admin.config('SET', 'maxmemory', '1')
    await expect(storeIn(replica, '/1.1.1.1', freshEntry())).rejects.toMatchObject({ reason: 'full' })
    expect((await storedIn(replica, '/8.8.8.8'))?.answer).toEqual(answer)
  })
})
