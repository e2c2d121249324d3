import { once } from 'node:events'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import type { RedlockLease } from '../../src/flight/redlock-leases.ts'
import { openReplica, outcomeKey, type Replica, type ReplicaOptions, leaseKey } from './replica.ts'
import { connectAdmin } from '../replica.ts'
import { until } from '@ipfleet/testing/until.ts'

const hourMs = 3_600_000
const cleanups: (() => unknown)[] = []
let redis: TestRedis
let admin: Awaited<ReturnType<typeof connectAdmin>>

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

async function open(options: Partial<ReplicaOptions> = {}): Promise<Replica> {
  const replica = await openReplica({ url: redis.url, lifeMs: 60_000, ...options })
  cleanups.push(() => replica.close())
  return replica
}

async function acquired(replica: Replica, subject = 's'): Promise<RedlockLease> {
  const lease = await replica.redlock.tryAcquire(subject)
  if (!lease) throw new Error('the lease was not given')
  return lease
}

const isHeld = async (subject = 's'): Promise<boolean> => (await admin.exists(leaseKey(subject))) === 1

describe('a lease', () => {
  test('is one replica’s at a time, until it is given back', async () => {
    const [a, b] = await Promise.all([open(), open()])
    const lease = await acquired(a)
    expect(await b.redlock.tryAcquire('s')).toBeUndefined()
    expect(await a.redlock.tryAcquire('s')).toBeUndefined()
    await lease.release()
    await acquired(b)
  })

  test('goes to exactly one of many who ask at once', async () => {
    const replicas = await Promise.all(Array.from({ length: 6 }, () => open()))
    const given = await Promise.all(replicas.map(({ redlock }) => redlock.tryAcquire('s')))
    expect(given.filter((lease) => lease !== undefined)).toHaveLength(1)
  })

  test('of one subject says nothing about another', async () => {
    const replica = await open()
    await acquired(replica, 'one')
    await acquired(replica, 'two')
  })

  test('brings what an earlier flight has left, also from a server that has forgotten the script', async () => {
    const replica = await open()
    await admin.set(outcomeKey('s'), Buffer.from([0xff, 0x00]))
    for (let left = 2; left > 0; left -= 1) {
      await admin.script('FLUSH')
      const lease = await acquired(replica)
      expect(lease.outcome).toEqual(Buffer.from([0xff, 0x00]))
      expect((await acquired(replica, 'other')).outcome).toBeUndefined()
      await admin.del(leaseKey('s'), leaseKey('other'))
    }
  })

  test('runs out when its holder is gone', async () => {
    const [a, b] = await Promise.all([open(), open()])
    await acquired(a)
    expect(await b.redlock.tryAcquire('s')).toBeUndefined()
    const leftMs = await admin.pttl(leaseKey('s'))
    expect(leftMs).toBeGreaterThan(0)
    expect(leftMs).toBeLessThanOrEqual(60_000)
    await admin.pexpire(leaseKey('s'), 1)
    await until(async () => (await b.redlock.tryAcquire('s')) !== undefined)
  })

  test('extended it lives its full life again, however often', async () => {
    const replica = await open()
    const lease = await acquired(replica)
    for (let left = 2; left > 0; left -= 1) {
      await admin.pexpire(leaseKey('s'), 20_000)
      expect(await lease.extend()).toBe(true)
      expect(await admin.pttl(leaseKey('s'))).toBeGreaterThan(30_000)
    }
    expect(await admin.get(leaseKey('s'))).toBe(lease.token)
  })

  test('lost to another it can be neither extended nor given back', async () => {
    const [a, b] = await Promise.all([open(), open()])
    const lost = await acquired(a)
    await admin.del(leaseKey('s'))
    const newer = await acquired(b)
    expect(await lost.extend()).toBe(false)
    await lost.release()
    expect(await admin.get(leaseKey('s'))).toBe(newer.token)
  })

  test.each([
    ['forward', hourMs],
    ['back', -hourMs],
  ])('does not care when the wall clock jumps %s', async (_direction, jumpMs) => {
    const replica = await open()
    const lease = await acquired(replica)
    const wallMs = Date.now()
    jest.spyOn(Date, 'now').mockReturnValue(wallMs + jumpMs)
    await admin.pexpire(leaseKey('s'), 20_000)
    expect(await lease.extend()).toBe(true)
    expect(await admin.pttl(leaseKey('s'))).toBeGreaterThan(30_000)
    await lease.release()
    expect(await isHeld()).toBe(false)
    await acquired(replica)
  })

  test('that took half its life to get is not relied on, and given back', async () => {
    const times = [0, 30_000]
    const replica = await open({ clock: { nowMs: () => times.shift() ?? 0 } })
    expect(await replica.redlock.tryAcquire('s')).toBeUndefined()
    expect(await isHeld()).toBe(false)
  })
})

describe('contention is not an outage', () => {
  test('being refused a lease many times leaves the breaker closed', async () => {
    const [a, b] = await Promise.all([open(), open()])
    await acquired(a)
    const downs: string[] = []
    b.link.on('down', () => downs.push('down'))
    for (let left = 10; left > 0; left -= 1) expect(await b.redlock.tryAcquire('s')).toBeUndefined()
    expect(downs).toEqual([])
  })

  test('a server that is gone is `down`, not another holder’s lease', async () => {
    const replica = await open()
    const down = once(replica.link, 'down')
    await redis.kill()
    await down
    await expect(replica.redlock.tryAcquire('s')).rejects.toMatchObject({ name: 'RedisUnavailable', reason: 'down' })
  })

  test('a full server is `full`', async () => {
    const replica = await open()
    await admin.config('SET', 'maxmemory', '1')
    await expect(replica.redlock.tryAcquire('s')).rejects.toMatchObject({ name: 'RedisUnavailable', reason: 'full' })
    expect(replica.link.up).toBe(true)
  })

  test('without Redis a lease is not extended, and giving it back does not fail', async () => {
    const replica = await open()
    const lease = await acquired(replica)
    await redis.kill()
    expect(await lease.extend()).toBe(false)
    expect(await lease.release()).toBeUndefined()
  })
})

describe('a server that hangs', () => {
  test('a lease that is granted after we gave up is given back', async () => {
    const replica = await open({ timeoutMs: 1000 })
    await redis.pause()
    await expect(replica.redlock.tryAcquire('s')).rejects.toMatchObject({ reason: 'timeout' })
    await redis.resume()
    // Both scripts of redlock have run: the grant and the return.
    await until(async () => /cmdstat_del:calls=1,/.test(await admin.info('commandstats')))
    expect(await isHeld()).toBe(false)
  })

  test('is not asked for leases while the breaker is open', async () => {
    const replica = await open({ timeoutMs: 1000 })
    const down = once(replica.link, 'down')
    await redis.pause()
    await down
    const waitingBefore = replica.link.client.commandQueue.length
    for (let left = 10; left > 0; left -= 1) {
      await expect(replica.redlock.tryAcquire('s')).rejects.toMatchObject({ reason: 'down' })
    }
    expect(replica.link.client.commandQueue.length).toBeLessThanOrEqual(waitingBefore + 1)
    await redis.resume()
  })
})
