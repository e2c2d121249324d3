import { startFaultyTcpProxy } from '@ipfleet/testing/faulty-tcp-proxy.ts'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { Redis } from 'ioredis'
import { Subscriber } from '../src/subscriber.ts'
import { connectAdmin, makeBusy } from './admin.ts'
import { until } from '@ipfleet/testing/until.ts'

const cleanups: (() => unknown)[] = []
let redis: TestRedis

beforeEach(async () => {
  redis = await startTestRedis()
  cleanups.push(() => redis.stop())
})

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

interface Ears {
  readonly subscriber: Subscriber
  readonly heard: string[]
  readonly gaps: () => number
  readonly nextGap: () => Promise<void>
}

function openEars(url = redis.url): Ears {
  const subscriber = new Subscriber({ url })
  cleanups.push(() => subscriber.close())
  let gaps = 0
  const waiting: (() => void)[] = []
  subscriber.onGap(() => {
    gaps += 1
    for (const resolve of waiting.splice(0)) resolve()
  })
  const nextGap = (): Promise<void> => new Promise((resolve) => waiting.push(resolve))
  return { subscriber, heard: [], gaps: () => gaps, nextGap }
}

/** Connected and listening on `news`. */
async function listeningEars(url?: string): Promise<Ears> {
  const ears = openEars(url)
  await ears.subscriber.subscribe('news', (message) => ears.heard.push(message))
  if (ears.gaps() === 0) await ears.nextGap()
  return ears
}

async function openAdmin(): Promise<Redis> {
  const admin = await connectAdmin(redis.url)
  cleanups.push(() => admin.disconnect())
  return admin
}

describe('listening', () => {
  test('a confirmed subscription misses nothing from then on', async () => {
    const [ears, admin] = await Promise.all([listeningEars(), openAdmin()])
    const heard = Promise.withResolvers<string>()
    await ears.subscriber.subscribe('more', heard.resolve)
    expect(await admin.publish('more', 'hello')).toBe(1)
    expect(await heard.promise).toBe('hello')
    expect(ears.heard).toEqual([])
  })

  test('several listeners share a channel; it is left when the last one ends', async () => {
    const [ears, admin] = await Promise.all([listeningEars(), openAdmin()])
    const first: string[] = []
    const second: string[] = []
    const endFirst = await ears.subscriber.subscribe('shared', (message) => first.push(message))
    const endSecond = await ears.subscriber.subscribe('shared', (message) => second.push(message))
    await admin.publish('shared', 'to both')
    await until(() => second.length === 1)
    endFirst()
    await admin.publish('shared', 'to one')
    await until(() => second.length === 2)
    expect(first).toEqual(['to both'])
    endSecond()
    await until(async () => (await admin.publish('shared', 'to nobody')) === 0)
    expect(second).toEqual(['to both', 'to one'])
  })

  test('the first connect counts as a gap: what was said before it is gone', async () => {
    const ears = openEars()
    await ears.nextGap()
    expect(ears.gaps()).toBe(1)
  })
})

describe('messages that may have been lost', () => {
  test('a killed pub/sub connection is reported once every channel is heard again', async () => {
    const [ears, admin] = await Promise.all([listeningEars(), openAdmin()])
    const gap = ears.nextGap()
    await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
    await gap
    expect(await admin.publish('news', 'again')).toBe(1)
    await until(() => ears.heard.length > 0)
    expect(ears.heard).toEqual(['again'])
  })

  test('a restarted server is listened to again', async () => {
    const ears = await listeningEars()
    const gap = ears.nextGap()
    await redis.kill()
    await redis.restart()
    await gap
    const admin = await openAdmin()
    expect(await admin.publish('news', 'again')).toBe(1)
    await until(() => ears.heard.length > 0)
  })

  test('a half-open link, which looks like a quiet one, is found out and replaced', async () => {
    const proxy = await startFaultyTcpProxy({ targetPort: redis.port })
    cleanups.push(() => proxy.close())
    const [ears, admin] = await Promise.all([listeningEars(`redis://127.0.0.1:${proxy.port}`), openAdmin()])
    const gap = ears.nextGap()
    await proxy.mode('blackhole')
    await admin.publish('news', 'lost')
    await until(() => proxy.accepted >= 2)
    await proxy.mode('pass')
    await gap
    await admin.publish('news', 'again')
    await until(() => ears.heard.length > 0)
    expect(ears.heard).toEqual(['again'])
  })

  test('a quiet channel on a sound link is no gap', async () => {
    const [ears, admin] = await Promise.all([listeningEars(), openAdmin()])
    const calls = async (): Promise<number> =>
      Number(/cmdstat_subscribe:calls=(\d+)/.exec(await admin.info('commandstats'))?.[1])
    const before = await calls()
    await until(async () => (await calls()) >= before + 2)
    expect(ears.gaps()).toBe(1)
  })
})

describe('subscribing while Redis does not answer', () => {
  test('without a server it resolves, and is made good when the server comes', async () => {
    await redis.kill()
    const ears = openEars()
    await ears.subscriber.subscribe('news', (message) => ears.heard.push(message))
    const gap = ears.nextGap()
    await redis.restart()
    await gap
    const admin = await openAdmin()
    expect(await admin.publish('news', 'hello')).toBe(1)
    await until(() => ears.heard.length > 0)
  })

  test('with a hung server it resolves after its deadline, and is made good when the server goes on', async () => {
    const ears = await listeningEars()
    await redis.pause()
    const startedMs = performance.now()
    await ears.subscriber.subscribe('late', (message) => ears.heard.push(message))
    expect(performance.now() - startedMs).toBeLessThan(10_000)
    await redis.resume()
    const admin = await openAdmin()
    await until(async () => (await admin.publish('late', 'hello')) === 1)
    await until(() => ears.heard.length > 0)
  })

  test('refused by a busy server it is made good when the server goes on', async () => {
    const [ears, admin, worker] = await Promise.all([listeningEars(), openAdmin(), openAdmin()])
    const busy = await makeBusy(admin, worker)
    const gap = ears.nextGap()
    await ears.subscriber.subscribe('late', (message) => ears.heard.push(message))
    await busy.end()
    await gap
    expect(await admin.publish('late', 'hello')).toBe(1)
    await until(() => ears.heard.length > 0)
  })
})

test('a closed subscriber leaves no connection behind', async () => {
  const [ears, admin] = await Promise.all([listeningEars(), openAdmin()])
  expect(await admin.client('LIST')).toContain('name=ipfleet-subscriber')
  ears.subscriber.close()
  await until(async () => !String(await admin.client('LIST')).includes('name=ipfleet-subscriber'))
})
