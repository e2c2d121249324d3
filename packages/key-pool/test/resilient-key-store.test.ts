import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { monotonicClock } from '@ipfleet/core/clock.ts'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { Subscriber } from '@ipfleet/redis/subscriber.ts'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import type { KeyStore } from '../src/key-store.ts'
import { LocalKeyStore } from '../src/local-key-store.ts'
import { keysChannel, RedisKeyStore } from '../src/redis-key-store.ts'
import { ResilientKeyStore } from '../src/resilient-key-store.ts'
import { eventually } from './eventually.ts'
import { fleetLink, whenDown, whenUp } from './fleet-link.ts'

const trialMs = 60_000
const longMs = 600_000
const bench = { id: 'a', reason: 'limited', durationMs: longMs } as const

interface Replica {
  readonly store: ResilientKeyStore
  readonly own: LocalKeyStore
  readonly fleet: RedisKeyStore
  readonly link: RedisLink
  readonly close: () => void
}

let redis: TestRedis
let replicas: Replica[]

beforeEach(async () => {
  redis = await startTestRedis()
  replicas = []
})

afterEach(async () => {
  for (const { close } of replicas) close()
  await redis.stop()
})

/** A replica that hears the others. */
async function replica(timeoutMs?: number): Promise<Replica> {
  const link = await fleetLink(redis.url, 'replica', timeoutMs)
  const subscriber = new Subscriber({ url: redis.url })
  const own = new LocalKeyStore(monotonicClock, { trialMs })
  const fleet = new RedisKeyStore(link, { trialMs })
  const store = new ResilientKeyStore(fleet, own, link, subscriber)
  const close = (): void => {
    subscriber.close()
    link.close()
  }
  const made = { store, own, fleet, link, close }
  replicas.push(made)
  // Its subscription was sent first on that connection, so that this one is confirmed after it.
  await subscriber.subscribe('ready', () => {})
  await eventually('the subscription', async () => {
    const heard = await link.run((client) => client.pubsub('NUMSUB', keysChannel(link.names)))
    return Number(heard[1]) >= replicas.length
  })
  return made
}

function benched(store: KeyStore, id = 'a'): Promise<number> {
  return eventually(`the bench of ${id}`, async () => (await store.read([id]))[0]?.remainingMs)
}

function state(store: KeyStore, wanted: 'active' | 'trial' | 'cooling', id = 'a'): Promise<boolean> {
  return eventually(`${id} ${wanted}`, async () => (await store.read([id]))[0]?.state === wanted)
}

async function takenKeys(store: KeyStore, takes: number): Promise<(string | undefined)[]> {
  const taken = await Promise.all(Array.from({ length: takes }, () => store.take(['a'])))
  return taken.map((each) => (each.kind === 'key' ? each.id : undefined))
}

async function takesWithoutRedis({ store, link }: Replica): Promise<void> {
  const startedMs = performance.now()
  for (let turn = 0; turn < 4; turn += 1) {
    expect(await store.take(['a', 'b'])).toEqual({ kind: 'key', id: 'b', trial: false })
  }
  // Two deadlines of a second at most; the rest is for a busy machine.
  expect(performance.now() - startedMs).toBeLessThan(10_000)
  await whenDown(link)
  expect((await store.read(['a']))[0]).toMatchObject({ state: 'cooling', reason: 'limited' })
  expect(await store.bench({ ...bench, id: 'b' })).toBeGreaterThan(longMs - 5000)
  expect(await store.take(['a', 'b'])).toMatchObject({ kind: 'none', trialUnderWay: false })
}

describe('while Redis is away', () => {
  test('hung: keys are given from what this replica knows of the whole fleet, in bounded time', async () => {
    const [one, other] = [await replica(), await replica(1000)]
    await one.store.bench(bench)
    await benched(other.own)
    await redis.pause()
    await takesWithoutRedis(other)
    await redis.resume()
  })

  test('dead: the same', async () => {
    const [one, other] = [await replica(), await replica()]
    await one.store.bench(bench)
    await benched(other.own)
    await redis.kill()
    await takesWithoutRedis(other)
  })

  test('a replica that joined after a bench remembers it, once it has read the state', async () => {
    const one = await replica()
    await one.store.bench(bench)
    const late = await replica()
    await late.store.read(['a', 'b', 'c'])
    await redis.kill()
    await takesWithoutRedis(late)
  })

  test('a trial is held and ended here', async () => {
    const { store, link } = await replica()
    await redis.kill()
    await whenDown(link)
    await store.bench({ ...bench, durationMs: 20 })
    await state(store, 'trial')
    expect(await store.take(['a'])).toEqual({ kind: 'key', id: 'a', trial: true })
    expect(await store.take(['a'])).toMatchObject({ kind: 'none', trialUnderWay: true })
    await store.endTrial('a', 'recovered')
    expect(await store.take(['a'])).toEqual({ kind: 'key', id: 'a', trial: false })
  })

  test('keys take turns evenly here', async () => {
    const { store, link } = await replica()
    await redis.kill()
    await whenDown(link)
    const taken: string[] = []
    for (let turn = 0; turn < 300; turn += 1) {
      const each = await store.take(['a', 'b', 'c'])
      if (each.kind === 'key') taken.push(each.id)
    }
    expect(['a', 'b', 'c'].map((id) => taken.filter((each) => each === id).length)).toEqual([100, 100, 100])
  })

  test('what each key has left is known here too, and counted down', async () => {
    const [one, other] = [await replica(), await replica()]
    await one.store.reportQuota({ id: 'a', source: 'account', remaining: 2, limit: 100, resetMs: longMs })
    await eventually('the quota', async () => (await other.own.quotas(['a']))[0]?.account?.remaining === 2)
    await redis.kill()
    await Promise.all([whenDown(one.link), whenDown(other.link)])
    for (const { store } of [one, other]) {
      expect(await takenKeys(store, 3)).toEqual(['a', 'a', undefined])
      expect(await store.read(['a'])).toMatchObject([{ state: 'cooling', reason: 'exhausted' }])
      await store.reportQuota({ id: 'a', source: 'account', remaining: 1, resetMs: longMs, takenBefore: 2 })
      expect(await takenKeys(store, 2)).toEqual(['a', undefined])
    }
  })
})

describe('when Redis returns', () => {
  test('empty: the benches that are still held are published again, once for all', async () => {
    const [one, other] = [await replica(), await replica()]
    await one.store.bench(bench)
    await benched(other.own)
    await redis.kill()
    await Promise.all([whenDown(one.link), whenDown(other.link)])
    await redis.restart()
    await Promise.all([whenUp(one.link), whenUp(other.link)])
    const remainingMs = await benched(other.fleet)
    expect(remainingMs).toBeGreaterThan(longMs - 60_000)
    expect(remainingMs).toBeLessThanOrEqual(longMs + 50)
    expect(await other.store.take(['a', 'b'])).toMatchObject({ id: 'b' })
  })

  test('a bench that was made meanwhile becomes the fleet’s', async () => {
    const [one, other] = [await replica(), await replica()]
    await redis.kill()
    await Promise.all([whenDown(one.link), whenDown(other.link)])
    await one.store.bench({ ...bench, reason: 'denied' })
    expect((await other.store.read(['a']))[0]?.state).toBe('active')
    await redis.restart()
    await Promise.all([whenUp(one.link), whenUp(other.link)])
    await benched(other.fleet)
    expect((await other.fleet.read(['a']))[0]).toMatchObject({ state: 'cooling', reason: 'denied' })
  })

  test('it is used again', async () => {
    const { store, own, link } = await replica()
    await redis.kill()
    await whenDown(link)
    await redis.restart()
    await whenUp(link)
    await own.bench({ ...bench, id: 'only-here' })
    expect(await store.read(['only-here'])).toEqual([{ id: 'only-here', state: 'active' }])
  })
})

describe('what others tell', () => {
  test('a key that was released elsewhere is good here too, bench and quota', async () => {
    const [one, other] = [await replica(), await replica()]
    await one.store.bench(bench)
    await one.store.reportQuota({ id: 'a', source: 'account', remaining: 0, resetMs: longMs })
    await benched(other.own)
    await eventually('the quota', async () => (await other.own.quotas(['a']))[0]?.account !== undefined)
    await one.store.release('a')
    await state(other.own, 'active')
  })

  test('a quota that has grown is believed', async () => {
    const [one, other] = [await replica(), await replica()]
    const account = { id: 'a', source: 'account', limit: 100, resetMs: longMs, takenBefore: 0 } as const
    await one.store.reportQuota({ ...account, remaining: 10 })
    await one.store.reportQuota({ ...account, remaining: 90 })
    for (const { own } of [one, other]) {
      await eventually('the quota', async () => (await own.quotas(['a']))[0]?.account?.remaining === 90)
    }
  })

  test('a key that recovered at another replica is good here too', async () => {
    const [one, other] = [await replica(), await replica()]
    await one.store.bench({ ...bench, durationMs: 50 })
    await state(other.own, 'trial')
    await one.store.take(['a'])
    await one.store.endTrial('a', 'recovered')
    await state(other.own, 'active')
  })

  test('this replica holds a bench for as long as the fleet does, whatever strikes it has counted itself', async () => {
    const { store, own } = await replica()
    // It has missed that the key recovered.
    await own.bench({ ...bench, durationMs: 1 })
    await state(own, 'trial')
    expect(await store.bench({ ...bench, doublingUpToMs: 10 * longMs })).toBe(longMs)
    expect(await benched(own)).toBeLessThanOrEqual(longMs)
  })

  test('a message that makes no sense harms nothing', async () => {
    const { own, link } = await replica()
    for (const message of ['', 'not json', 'null', '7', '[]', '{}', '{"id":7,"state":"cooling"}', '{"id":"b"}']) {
      await link.run((client) => client.publish(keysChannel(link.names), message))
    }
    const change = { id: 'a', state: 'cooling', reason: 'denied', remainingMs: longMs }
    await link.run((client) => client.publish(keysChannel(link.names), JSON.stringify(change)))
    await benched(own)
    expect(own.running()).toMatchObject([{ id: 'a', reason: 'denied' }])
  })
})
