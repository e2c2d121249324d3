import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { RedisUnavailable } from '@ipfleet/redis/redis-unavailable.ts'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { noStore } from '../src/answer-store.ts'
import { Entry } from '../src/entry.ts'
import { joinedReplica, type Replica, storedIn, storeIn } from './replica.ts'

let redis: TestRedis
let replica: Replica
beforeAll(async () => {
  redis = await startTestRedis()
  replica = await joinedReplica({ url: redis.url })
})
afterAll(async () => {
  replica.close()
  await redis.stop()
})

const entryOf = (text: string, freshForMs = 60_000, ageMs = 0): Entry =>
  new Entry({ status: 200, contentType: 'text/plain', body: Buffer.from(text) }, performance.now() - ageMs, freshForMs)

describe('the shared tier, asked about many queries at once', () => {
  test('gives back what was stored, one by one or together, and leaves out what is not there', async () => {
    const many = Array.from({ length: 450 }, (_, at): [string, Entry] => [`/many/${at}`, entryOf(`body ${at}`)])
    await replica.store.setMany(new Map(many))
    await storeIn(replica, '/alone', entryOf('alone'))
    const found = await replica.store.getMany(['/alone', '/nowhere', ...many.map(([query]) => query)])
    expect(found.size).toBe(451)
    expect(found.has('/nowhere')).toBe(false)
    expect(found.get('/many/449')?.answer.body.toString()).toBe('body 449')
    expect((await storedIn(replica, '/many/7'))?.answer.body.toString()).toBe('body 7')
  })

  test('keeps their age, and does not store what is past all use', async () => {
    await replica.store.setMany(
      new Map([
        ['/old', entryOf('old', 60_000, 30_000)],
        ['/dead', entryOf('dead', 1, 120_000)],
      ]),
    )
    const found = await replica.store.getMany(['/old', '/dead'])
    expect([...found.keys()]).toEqual(['/old'])
    // Calibration against Redis errs by a round trip.
    expect(found.get('/old')?.ageMs(performance.now())).toBeGreaterThan(20_000)
  })

  test('needs no Redis for no queries', async () => {
    expect(await replica.store.getMany([])).toEqual(new Map())
    await replica.store.setMany(new Map())
  })

  test('throws RedisUnavailable when it is away', async () => {
    const alone = await joinedReplica({ url: redis.url })
    alone.close()
    await expect(alone.store.getMany(['/a'])).rejects.toThrow(RedisUnavailable)
    await expect(alone.store.setMany(new Map([['/a', entryOf('a')]]))).rejects.toThrow(RedisUnavailable)
  })
})

test('a replica on its own finds nothing there', async () => {
  await noStore.setMany(new Map([['/a', entryOf('a')]]))
  expect(await noStore.getMany(['/a'])).toEqual(new Map())
})
