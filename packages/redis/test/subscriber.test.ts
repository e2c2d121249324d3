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

/** A message may be lost with a connection on which nothing came while a process stood still, so it is sent until it is heard. */
async function untilHears({ heard }: Ears, admin: Redis, channel: string, message: string): Promise<void> {
  await until(async () => {
    await admin.publish(channel, message)
    return heard.includes(message)
  })
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
    // Where Redis stands still, it resolves unconfirmed.
    await until(async () => (await admin.pubsub('NUMSUB', 'more'))[1] === 1)
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
    await untilHears({ ...ears, heard: second }, admin, 'shared', 'to both')
    endFirst()
    await untilHears({ ...ears, heard: second }, admin, 'shared', 'to one')
    expect([first.includes('to both'), first.includes('to one')]).toEqual([true, false])
    endSecond()
    await until(async () => (await admin.publish('shared', 'to nobody')) === 0)
    expect(second).not.toContain('to nobody')
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
    await untilHears(ears, admin, 'news', 'again')
  })

  test('a restarted server is listened to again', async () => {
    const ears = await listeningEars()
    const gap = ears.nextGap()
    await redis.kill()
    await redis.restart()
    await gap
    const admin = await openAdmin()
    await untilHears(ears, admin, 'news', 'again')
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
    await untilHears(ears, admin, 'news', 'again')
    expect(ears.heard).not.toContain('lost')
  })

  test('a quiet channel on a sound link is no gap', async () => {
    const [ears, admin] = await Promise.all([listeningEars(), openAdmin()])
    const calls = async (): Promise<number> =>
      Number(/cmdstat_subscribe:calls=(\d+)/.exec(await admin.info('commandstats'))?.[1])
    // A process that stands still takes its link for a bad one.
    await until(async () => {
      const [before, gaps] = [await calls(), ears.gaps()]
      await until(async () => (await calls()) >= before + 2)
      return ears.gaps() === gaps
    })
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
    await untilHears(ears, admin, 'news', 'hello')
  })

  test('with a hung server it resolves after its deadline, and is made good when the server goes on', async () => {
    const ears = await listeningEars()
    await redis.pause()
    await ears.subscriber.subscribe('late', (message) => ears.heard.push(message))
    await redis.resume()
    const admin = await openAdmin()
    await untilHears(ears, admin, 'late', 'hello')
  })

  test('refused by a busy server it is made good when the server goes on', async () => {
    const [ears, admin, worker] = await Promise.all([listeningEars(), openAdmin(), openAdmin()])
    const busy = await makeBusy(admin, worker)
    const gap = ears.nextGap()
    await ears.subscriber.subscribe('late', (message) => ears.heard.push(message))
    await busy.end()
    await gap
    await untilHears(ears, admin, 'late', 'hello')
  })
})

test('a closed subscriber leaves no connection behind', async () => {
  const [ears, admin] = await Promise.all([listeningEars(), openAdmin()])
  expect(await admin.client('LIST')).toContain('name=ipfleet-subscriber')
  ears.subscriber.close()
  await until(async () => !String(await admin.client('LIST')).includes('name=ipfleet-subscriber'))
})
