import { until } from '@ipfleet/testing/until.ts'
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { FleetSize } from '../src/fleet-size.ts'
import type { Policy } from '../src/policy.ts'
import { charging, checking, taking } from '../src/rate-limiter.ts'
import { RedisCounter } from '../src/redis-counter.ts'
import { counting } from './counting.ts'
import { fleetLink } from './fleet-link.ts'
import { rateLimiterContract } from './rate-limiter-contract.ts'

let redis: TestRedis
let links: RedisLink[]
beforeAll(async () => {
  redis = await startTestRedis()
  links = await Promise.all([0, 1, 2].map((index) => fleetLink(redis.url, `replica-${index}`)))
})
afterAll(async () => {
  for (const link of links) link.close()
  await redis.stop()
})

const window: Policy = { kind: 'sliding-window', limit: 5, windowMs: 3_600_000 }
const bucket: Policy = { kind: 'token-bucket', burst: 5, refillPerSecond: 0.001 }
const firstLink = (): RedisLink => links[0] as RedisLink
const limiterOn = (link: RedisLink, scope = 'test') => counting(link, scope)

rateLimiterContract('RedisCounter', async () => ({
  limiters: links.map((link) => limiterOn(link)),
  // A timer may fire a little before its time.
  pass: (ms) => sleep(ms + 5),
  close: async () => {},
}))

describe.each([
  ['a sliding window', window],
  ['a token bucket', bucket],
])('%s in Redis', (_name, policy) => {
  test('a charge that is repeated because no answer came is counted once', async () => {
    const limiter = limiterOn(firstLink())
    const subject = randomUUID()
    await limiter.charge(subject, policy, 2, { sender: 'a', sequence: 1 })
    expect(await limiter.charge(subject, policy, 2, { sender: 'a', sequence: 1 })).toMatchObject({ remaining: 3 })
    expect(await limiter.charge(subject, policy, 1, { sender: 'b', sequence: 1 })).toMatchObject({ remaining: 2 })
    expect(await limiter.charge(subject, policy, 1, { sender: 'a', sequence: 2 })).toMatchObject({ remaining: 1 })
  })

  test('scopes are apart, and everything has a TTL', async () => {
    await firstLink().run((client) => client.flushall())
    await limiterOn(firstLink(), 'one').charge('subject', policy, 5, { sender: 'a', sequence: 1 })
    expect((await limiterOn(firstLink(), 'two').take('subject', policy)).kind).toBe('allowed')
    const keys = await firstLink().run((client) => client.keys('*'))
    expect(keys.toSorted()).toEqual([
      'ipfleet:limit:{one:subject}',
      'ipfleet:limit:{one:subject}:from:a',
      'ipfleet:limit:{two:subject}',
    ])
    for (const key of keys) expect(await firstLink().run((client) => client.pttl(key))).toBeGreaterThan(0)
  })

  test('a refusal writes nothing: who is over cannot fill Redis', async () => {
    await firstLink().run((client) => client.flushall())
    expect((await limiterOn(firstLink()).take('subject', policy, 6)).kind).toBe('limited')
    expect((await limiterOn(firstLink()).check('subject', policy)).kind).toBe('allowed')
    expect(await firstLink().run((client) => client.dbsize())).toBe(0)
  })
})

test('without an answer from Redis nothing is decided, and nothing thrown', async () => {
  const other = await startTestRedis()
  const link = await fleetLink(other.url, 'lost')
  try {
    await other.stop()
    const counter = new RedisCounter(link, 'test')
    expect(await counter.spend('a', window, taking(1))).toMatchObject({ kind: 'unanswered' })
    expect(await counter.spend('a', bucket, checking)).toMatchObject({ kind: 'unanswered' })
    expect(await counter.spend('a', bucket, charging(1))).toMatchObject({ kind: 'unanswered' })
  } finally {
    link.close()
    await other.stop()
  }
})

test('members know how many they are, and a member that left is not counted', async () => {
  await firstLink().run((client) => client.flushall())
  const [a, b, c] = links.map((link) => new FleetSize(link, { name: 'test', beatMs: 20 })) as [
    FleetSize,
    FleetSize,
    FleetSize,
  ]
  await until(() => a.count === 3)
  expect(a.count).toBe(3)
  await Promise.all([b.close(), c.close()])
  await until(() => a.count === 1)
  expect(a.count).toBe(1)
  await a.close()
})

test('what counts for several parts of one process is one member', async () => {
  const link = firstLink()
  await link.run((client) => client.flushall())
  const counted = () => link.run((client) => client.zcard(link.names.key('members', 'test')))
  const sizes = [new FleetSize(link, { name: 'test' }), new FleetSize(link, { name: 'test' })]
  // Both say at the same time that they are there.
  expect(await until(async () => (await counted()) || undefined)).toBe(1)
  for (const size of sizes) await size.close()
})
