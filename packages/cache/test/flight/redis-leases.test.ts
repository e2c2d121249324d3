import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { Claims, Lease } from '../../src/flight/leases.ts'
import { landedChannel, leaseKey, openReplica, outcomeKey, type Replica } from './replica.ts'
import { connectAdmin } from '../replica.ts'
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

/** Claims of one subject (redlock's lease) and of many (one command), which must not differ in what they promise. */
const ways = [
  ['alone', ['s']],
  ['among others', ['s', 'others']],
] as const

async function acquired(subjects: readonly string[]): Promise<Lease> {
  const { claims, lease } = await replica.leases.open().claim(subjects)
  if (claims[0]?.kind !== 'leased' || !lease) throw new Error('the lease was not given')
  return lease
}

const bytes = Buffer.from([0, 10, 13, 255, 128])
const landedS = (some = bytes) => [{ subject: 's', bytes: some, keepMs: 20_000 }]
/** As a waiter sees the subject. */
const seen = async (): Promise<Claims['claims'][number] | undefined> =>
  (await replica.leases.open().claim(['s'], { awaited: new Set(['s']) })).claims[0]

describe.each(ways)('publishing by a holder that claimed it %s', (_way, subjects) => {
  test('stores the bytes as they are, ends the lease and wakes those who listen', async () => {
    let landings = 0
    const stop = await replica.leases.open().onLanding('s', () => (landings += 1))
    expect(await (await acquired(subjects)).publish(landedS())).toEqual(new Set(['s']))
    expect(await admin.getBuffer(outcomeKey('s'))).toEqual(bytes)
    expect(await admin.exists(leaseKey('s'))).toBe(0)
    expect(await admin.pttl(outcomeKey('s'))).toBeLessThanOrEqual(20_000)
    expect(await admin.pttl(outcomeKey('s'))).toBeGreaterThan(0)
    await until(() => landings === 1)
    stop()
    await until(async () => (await admin.publish(landedChannel('s'), '')) === 0)
  })

  test('whose lease ran out changes nothing', async () => {
    const lost = await acquired(subjects)
    await admin.del(leaseKey('s'))
    expect(await lost.publish(landedS())).toEqual(new Set())
    expect(await admin.exists(outcomeKey('s'))).toBe(0)
  })

  test('whose lease went to another overwrites neither outcome nor lease', async () => {
    const lost = await acquired(subjects)
    await admin.del(leaseKey('s'))
    const newer = await acquired(['s'])
    const token = await admin.get(leaseKey('s'))
    expect(await lost.publish(landedS(Buffer.from('old')))).toEqual(new Set())
    expect(await admin.get(leaseKey('s'))).toBe(token)
    expect(await newer.publish(landedS(Buffer.from('new')))).toEqual(new Set(['s']))
    expect(await lost.publish(landedS(Buffer.from('old')))).toEqual(new Set())
    expect(await admin.get(outcomeKey('s'))).toBe('new')
  })

  test('twice is as once', async () => {
    const lease = await acquired(subjects)
    expect(await lease.publish(landedS())).toEqual(new Set(['s']))
    expect(await lease.publish(landedS(Buffer.from('again')))).toEqual(new Set())
    expect(await admin.getBuffer(outcomeKey('s'))).toEqual(bytes)
  })
})

/** Who holds it and who asks for it: redlock's lease and the claim of many are one kind of lease. */
describe.each(ways)('a lease claimed %s', (_holders, held) => {
  test.each(ways)('keeps out who asks for it %s, until it is given back', async (_askers, asked) => {
    const lease = await acquired(held)
    expect((await replica.leases.open().claim(asked)).claims[0]?.kind).toBe('held')
    await lease.release(['s'])
    await acquired(asked)
  })

  test.each(ways)('that went to one who asked for it %s is neither extended nor given back', async (_askers, asked) => {
    const lost = await acquired(held)
    await admin.del(leaseKey('s'))
    await acquired(asked)
    const token = await admin.get(leaseKey('s'))
    await admin.pexpire(leaseKey('s'), 20_000)
    await lost.extend(['s'])
    await lost.release(['s'])
    expect(await admin.get(leaseKey('s'))).toBe(token)
    expect(await admin.pttl(leaseKey('s'))).toBeLessThanOrEqual(20_000)
  })

  test('extended lives its full life again', async () => {
    const lease = await acquired(held)
    await admin.pexpire(leaseKey('s'), 20_000)
    await lease.extend(['s'])
    expect(await admin.pttl(leaseKey('s'))).toBeGreaterThan(30_000)
  })
})

describe('a waiter', () => {
  test('gets the lease where there is neither outcome nor lease', async () => {
    expect(await seen()).toEqual({ kind: 'leased', outcome: undefined })
  })

  test('learns the life that the lease has left', async () => {
    await acquired(['s'])
    await admin.pexpire(leaseKey('s'), 30_000)
    const claim = await seen()
    expect(claim).toMatchObject({ kind: 'held', outcome: undefined, leaseLeftMs: expect.any(Number) })
    const { leaseLeftMs } = claim as { leaseLeftMs: number }
    expect(leaseLeftMs).toBeGreaterThan(0)
    expect(leaseLeftMs).toBeLessThanOrEqual(30_000)
  })

  test('gets the outcome’s bytes as they are', async () => {
    await (await acquired(['s'])).publish(landedS())
    expect(await seen()).toEqual({ kind: 'landed', outcome: bytes })
    expect((await replica.leases.open().claim(['s', 'others'])).claims[0]).toEqual({ kind: 'landed', outcome: bytes })
  })
})

const tagOf = (name: string): string | undefined => /\{.*?\}/.exec(name)?.[0]

test('all names of a subject are in one Cluster slot', () => {
  expect(leaseKey('1:8.8.8.8')).toMatch(/^ipfleet:lease:\{\w+\}:1:8\.8\.8\.8$/)
  expect(landedChannel('1:8.8.8.8')).toMatch(/^ipfleet:0:landed:\{\w+\}:1:8\.8\.8\.8$/)
  expect(tagOf(outcomeKey('1:8.8.8.8'))).toBe(tagOf(leaseKey('1:8.8.8.8')))
  expect(tagOf(landedChannel('1:8.8.8.8'))).toBe(tagOf(leaseKey('1:8.8.8.8')))
})
