import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { Lease } from '../../src/flight/lease.ts'
import { connectAdmin, openReplica, type Replica, landedChannel, leaseKey, outcomeKey } from './replica.ts'
import { until } from '@ipfleet/testing/until.ts'

let redis: TestRedis
let admin: Awaited<ReturnType<typeof connectAdmin>>
let replica: Replica

beforeAll(async () => {
  redis = await startTestRedis()
  admin = await connectAdmin(redis.url)
  replica = await openReplica({ url: redis.url, lifeMs: 60_000 })
})

afterAll(async () => {
  replica.close()
  admin.disconnect()
  await redis.stop()
})

beforeEach(async () => {
  await admin.flushall()
})

async function acquired(subject: string): Promise<Lease> {
  const lease = await replica.leases.tryAcquire(subject)
  if (!lease) throw new Error('the lease was not given')
  return lease
}

const bytes = Buffer.from([0, 10, 13, 255, 128])

describe('publishing', () => {
  test('by the holder stores the bytes as they are, ends the lease and wakes those who listen', async () => {
    let landings = 0
    const stop = await replica.board.onLanding('s', () => (landings += 1))
    expect(await replica.board.publish(await acquired('s'), bytes, 5000)).toBe(true)
    expect(await replica.board.read('s')).toEqual(bytes)
    expect(await admin.exists(leaseKey('s'))).toBe(0)
    expect(await admin.pttl(outcomeKey('s'))).toBeLessThanOrEqual(5000)
    expect(await admin.pttl(outcomeKey('s'))).toBeGreaterThan(0)
    await until(() => landings === 1)
    stop()
    await until(async () => (await admin.publish(landedChannel('s'), '')) === 0)
  })

  test('by one whose lease ran out changes nothing', async () => {
    const lost = await acquired('s')
    await admin.del(leaseKey('s'))
    expect(await replica.board.publish(lost, bytes, 5000)).toBe(false)
    expect(await replica.board.read('s')).toBeUndefined()
  })

  test('by one whose lease went to another overwrites neither outcome nor lease', async () => {
    const lost = await acquired('s')
    await admin.del(leaseKey('s'))
    const newer = await acquired('s')
    expect(await replica.board.publish(lost, Buffer.from('old'), 5000)).toBe(false)
    expect(await admin.get(leaseKey('s'))).toBe(newer.token)
    expect(await replica.board.publish(newer, Buffer.from('new'), 5000)).toBe(true)
    expect(await replica.board.publish(lost, Buffer.from('old'), 5000)).toBe(false)
    expect(await replica.board.read('s')).toEqual(Buffer.from('new'))
  })

  test('twice is as once', async () => {
    const lease = await acquired('s')
    expect(await replica.board.publish(lease, bytes, 5000)).toBe(true)
    expect(await replica.board.publish(lease, Buffer.from('again'), 5000)).toBe(false)
    expect(await replica.board.read('s')).toEqual(bytes)
  })
})

describe('observing', () => {
  test('nothing there is neither outcome nor lease', async () => {
    expect(await replica.board.observe('s')).toEqual({ outcome: undefined, leaseLeftMs: undefined })
    expect(await replica.board.read('s')).toBeUndefined()
  })

  test('tells the life that the lease has left', async () => {
    await acquired('s')
    await admin.pexpire(leaseKey('s'), 30_000)
    const { outcome, leaseLeftMs } = await replica.board.observe('s')
    expect(outcome).toBeUndefined()
    expect(leaseLeftMs).toBeGreaterThan(0)
    expect(leaseLeftMs).toBeLessThanOrEqual(30_000)
  })

  test('brings the outcome’s bytes as they are', async () => {
    await replica.board.publish(await acquired('s'), bytes, 5000)
    expect(await replica.board.observe('s')).toEqual({ outcome: bytes, leaseLeftMs: undefined })
  })
})

const tagOf = (name: string): string | undefined => /\{.*?\}/.exec(name)?.[0]

test('all names of a subject are in one Cluster slot', () => {
  expect(leaseKey('1:8.8.8.8')).toMatch(/^ipfleet:lease:\{\w+\}:1:8\.8\.8\.8$/)
  expect(landedChannel('1:8.8.8.8')).toMatch(/^ipfleet:0:landed:\{\w+\}:1:8\.8\.8\.8$/)
  expect(tagOf(outcomeKey('1:8.8.8.8'))).toBe(tagOf(leaseKey('1:8.8.8.8')))
  expect(tagOf(landedChannel('1:8.8.8.8'))).toBe(tagOf(leaseKey('1:8.8.8.8')))
})
