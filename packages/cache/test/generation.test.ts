import { startFaultyTcpProxy } from '@ipfleet/testing/faulty-tcp-proxy.ts'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { ownGeneration } from '../src/generation.ts'
import { describeGeneration } from './generation-contract.ts'
import { type Admin, connectAdmin, joinedReplica, openReplica, type Replica, untilListening } from './replica.ts'
import { until } from '@ipfleet/testing/until.ts'

const key = 'ipfleet:generation:{answers}'

const currents = (fleet: Replica[]): Set<string | undefined> =>
  new Set(fleet.map(({ generation }) => generation.current))

async function expectMove(replica: Replica, change: () => Promise<unknown>, next: () => string): Promise<void> {
  const told = new Promise<void>((resolve) => replica.generation.onPurge(resolve))
  await change()
  await told
  expect(replica.generation.current).toBe(next())
}

describeGeneration('that of a replica on its own', async () => ({ generation: ownGeneration(), close: () => {} }))

describe('that of a replica on its own', () => {
  test('is known from the start', () => {
    expect(ownGeneration().current).toBeDefined()
  })
})

describe('on a shared Redis', () => {
  let shared: TestRedis

  beforeAll(async () => {
    shared = await startTestRedis()
  })

  afterAll(async () => {
    await shared.stop()
  })

  describeGeneration('the fleet’s', () => joinedReplica({ url: shared.url }))
})

describe('the fleet’s generation', () => {
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
    for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
  })

  async function joined(subscriberUrl?: string): Promise<Replica> {
    const options = { url: redis.url }
    const replica = await joinedReplica(subscriberUrl === undefined ? options : { ...options, subscriberUrl })
    cleanups.push(() => replica.close())
    return replica
  }

  const joinedFleet = async (size: number): Promise<Replica[]> => {
    const fleet = await Promise.all(Array.from({ length: size }, () => joined()))
    await untilListening(admin, size)
    return fleet
  }

  /** As a purge whose message no replica got. */
  async function purgeUnheard(): Promise<string> {
    const next = String(Number(await admin.get(key)) + 1)
    await admin.set(key, next)
    return next
  }

  async function loseRedis(): Promise<void> {
    await redis.kill()
    await redis.restart()
  }

  test('is one number for all, and not known before Redis has answered', async () => {
    const late = openReplica({ url: redis.url })
    cleanups.push(() => late.close())
    expect(late.generation.current).toBeUndefined()
    expect(() => late.generation.require()).toThrow('Redis unavailable: down')
    const fleet = await joinedFleet(3)
    await late.generation.known
    expect(currents([...fleet, late])).toEqual(new Set([await admin.get(key)]))
  })

  test('a purge on one reaches all within 100 ms', async () => {
    const fleet = await joinedFleet(4)
    const [first] = fleet
    // One round in time is enough: slower ones tell of a machine that is busy with other things.
    await until(async () => {
      const told = fleet.map(({ generation }) => new Promise<void>((resolve) => generation.onPurge(resolve)))
      const startedMs = performance.now()
      await first?.generation.purge()
      await Promise.all(told)
      const tookMs = performance.now() - startedMs
      expect(currents(fleet)).toEqual(new Set([await admin.get(key)]))
      return tookMs < 100
    })
  })

  test('purges at the same time leave all with the same, newest number', async () => {
    const fleet = await joinedFleet(4)
    for (let round = 0; round < 5; round += 1) {
      await Promise.all(fleet.map(({ generation }) => generation.purge()))
      const newest = await admin.get(key)
      await until(() => currents(fleet).size === 1)
      expect(currents(fleet)).toEqual(new Set([newest]))
    }
  })

  test('the reply to a purge does not undo a newer purge whose message has overtaken it', async () => {
    const proxy = await startFaultyTcpProxy({ targetPort: redis.port })
    cleanups.push(() => proxy.close())
    const slowUrl = `redis://127.0.0.1:${proxy.port}`
    const slow = await joinedReplica({ url: slowUrl, subscriberUrl: redis.url })
    cleanups.push(() => slow.close())
    const quick = await joined()
    await untilListening(admin, 2)
    const before = slow.generation.require()
    await proxy.mode({ delayMs: 300 })
    const purging = slow.generation.purge()
    await until(async () => (await admin.get(key)) !== before)
    await quick.generation.purge()
    await purging
    expect(slow.generation.current).toBe(await admin.get(key))
  })

  test('every purge gives a new number, also twice within a millisecond and on a clock that was set back', async () => {
    const [replica] = await joinedFleet(1)
    const seen = [Number(replica?.generation.current)]
    for (let round = 0; round < 20; round += 1) {
      await replica?.generation.purge()
      seen.push(Number(replica?.generation.current))
    }
    const future = Number(seen.at(-1)) + 3_600_000
    await admin.set(key, String(future))
    await replica?.generation.purge()
    seen.push(Number(replica?.generation.current))
    expect(seen.at(-1)).toBe(future + 1)
    expect(seen).toEqual([...new Set(seen)].toSorted((a, b) => a - b))
  })

  test('is kept for as long as it is read', async () => {
    const dayMs = 86_400_000
    await joined()
    expect(await admin.pttl(key)).toBeGreaterThan(399 * dayMs)
    await admin.pexpire(key, 100 * dayMs)
    await joined()
    expect(await admin.pttl(key)).toBeGreaterThan(399 * dayMs)
  })

  describe('learns of a purge that it did not hear', () => {
    test('when its pub/sub connection was lost', async () => {
      const [replica] = (await joinedFleet(1)) as [Replica]
      let next = ''
      const change = async (): Promise<void> => {
        next = await purgeUnheard()
        await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
      }
      await expectMove(replica, change, () => next)
    })

    test('when its first attempt to read it again failed', async () => {
      const [replica] = (await joinedFleet(1)) as [Replica]
      const next = String(Number(replica.generation.current) + 1)
      const change = async (): Promise<void> => {
        await admin.del(key)
        await admin.lpush(key, 'of the wrong type')
        const failed = new Promise<void>((resolve) => {
          replica.link.on('command', (_durationMs, outcome) => {
            if (outcome === 'failed') resolve()
          })
        })
        await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
        await failed
        await admin.set(key, next)
      }
      await expectMove(replica, change, () => next)
    })

    test('when its pub/sub connection was half-open', async () => {
      const proxy = await startFaultyTcpProxy({ targetPort: redis.port })
      cleanups.push(() => proxy.close())
      const [deaf, other] = await Promise.all([joined(`redis://127.0.0.1:${proxy.port}`), joined()])
      await untilListening(admin, 2)
      const change = async (): Promise<void> => {
        await proxy.mode('blackhole')
        await other.generation.purge()
      }
      await expectMove(deaf, change, () => other.generation.require())
    })

    test('while it can have no pub/sub connection', async () => {
      const [deaf, other] = await Promise.all([joined('redis://127.0.0.1:1'), joined()])
      await expectMove(
        deaf,
        () => other.generation.purge(),
        () => other.generation.require(),
      )
    })
  })

  test('survives a Redis that comes back without its data: what is in memory stays good', async () => {
    const [replica] = (await joinedFleet(1)) as [Replica]
    const before = replica.generation.current
    let told = 0
    replica.generation.onPurge(() => (told += 1))
    await loseRedis()
    const back = await connectAdmin(redis.url)
    cleanups.push(() => back.disconnect())
    await until(async () => (await back.get(key)) !== null)
    expect([await back.get(key), replica.generation.current, told]).toEqual([before, before, 0])
  })

  test('after such a loss is the newest that any replica knows', async () => {
    const [ahead, behind] = (await joinedFleet(2)) as [Replica, Replica]
    await admin.del(key)
    const older = String(Number(behind.generation.current) - 1)
    await admin.set(key, older)
    await expectMove(
      behind,
      () => admin.publish('ipfleet:0:purged', older),
      () => older,
    )
    await until(() => ahead.generation.current === older)
    await ahead.generation.purge()
    await until(() => behind.generation.current === ahead.generation.current)
    const newest = ahead.generation.require()
    await admin.set(key, older)
    await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
    await until(async () => (await admin.get(key)) === newest)
  })

  test('a purge without Redis is refused, and this replica has forgotten all the same', async () => {
    const [replica] = (await joinedFleet(1)) as [Replica]
    let told = 0
    replica.generation.onPurge(() => (told += 1))
    await redis.kill()
    await expect(replica.generation.purge()).rejects.toMatchObject({ name: 'RedisUnavailable' })
    expect(told).toBe(1)
  })

  test.each([
    ['full', ['CONFIG', 'SET', 'maxmemory', '1']],
    ['a replica', ['REPLICAOF', '127.0.0.1', '1']],
  ])('can be read from a server that takes no writes: %s', async (_why, [command = '', ...args]) => {
    const [first] = (await joinedFleet(1)) as [Replica]
    await admin.call(command, ...args)
    const second = await joined()
    expect(second.generation.current).toBe(first.generation.current)
  })
})
