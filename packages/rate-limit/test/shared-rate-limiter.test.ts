import { manualClock } from '@ipfleet/testing/manual-clock.ts'
import { until } from '@ipfleet/testing/until.ts'
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import type { Policy } from '../src/policy.ts'
import type { Decision } from '../src/rate-limiter.ts'
import { RedisCounter } from '../src/redis-counter.ts'
import type { Unanswered } from '../src/shared-counter.ts'
import { SharedRateLimiter, type SharedRateLimiterOptions } from '../src/shared-rate-limiter.ts'
import { counting } from './counting.ts'
import { fleetLink, whenDown, whenUp } from './fleet-link.ts'
import { rateLimiterContract } from './rate-limiter-contract.ts'

const scope = 'test'
const limiterOn = (link: RedisLink, options: SharedRateLimiterOptions) =>
  new SharedRateLimiter(new RedisCounter(link, scope), options)
const window = (limit: number): Policy => ({ kind: 'sliding-window', limit, windowMs: 3_600_000 })

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

describe.each([0, 1 / 16])('with %d of what is left let through before the fleet is asked', (allowance) => {
  rateLimiterContract('SharedRateLimiter', async () => {
    const limiters = links.map((link) => limiterOn(link, { members: () => 3, allowance }))
    return {
      limiters,
      // A timer may fire a little before its time.
      pass: (ms) => sleep(ms + 5),
      close: () => Promise.all(limiters.map((limiter) => limiter.close())),
    }
  })
})

describe('one of the fleet', () => {
  let subject: string
  let commands: number
  let link: RedisLink
  let opened: SharedRateLimiter[]
  const count = (): void => void (commands += 1)
  const open = (options: Partial<SharedRateLimiterOptions> = {}): SharedRateLimiter => {
    // What the fleet has said stays current, however long this process stands still.
    const limiter = limiterOn(link, { members: () => 1, clock: manualClock(), ...options })
    opened.push(limiter)
    return limiter
  }
  /** What the fleet says, asked past the limiter. */
  const fleetsView = (policy: Policy) => counting(links[1] as RedisLink, scope).check(subject, policy)

  beforeEach(async () => {
    subject = randomUUID()
    opened = []
    link = links[0] as RedisLink
    link.on('command', count)
    commands = 0
  })
  afterEach(async () => {
    link.off('command', count)
    await Promise.all(opened.map((limiter) => limiter.close()))
  })

  test('a subject that is known to be over is refused from memory, without a Redis call', async () => {
    const limiter = open()
    for (let turn = 0; turn < 4; turn++) await limiter.take(subject, window(3))
    const before = commands
    for (let turn = 0; turn < 50; turn++) {
      expect(await limiter.take(subject, window(3))).toMatchObject({ kind: 'limited', limit: 3, remaining: 0 })
    }
    expect(limiter.takeNow(subject, window(3))?.kind).toBe('limited')
    // Pings of the link are commands too, four a second.
    expect(commands - before).toBeLessThan(25)
  })

  test('a refusal of much does not keep out little', async () => {
    const limiter = open()
    expect((await limiter.take(subject, window(3), 4)).kind).toBe('limited')
    expect((await limiter.take(subject, window(3), 3)).kind).toBe('allowed')
  })

  test('without an allowance the fleet is asked about every request', async () => {
    const limiter = open()
    await limiter.take(subject, window(1000))
    expect(limiter.takeNow(subject, window(1000))).toBeUndefined()
  })

  test('far from the limit it answers at once, and tells the fleet soon', async () => {
    const limiter = open({ allowance: 1 / 16 })
    expect(limiter.takeNow(subject, window(1600))).toBeUndefined()
    await limiter.take(subject, window(1600))
    const before = commands
    for (let turn = 0; turn < 60; turn++) {
      expect(limiter.takeNow(subject, window(1600))).toMatchObject({ kind: 'allowed', remaining: 1598 - turn })
    }
    expect(commands).toBe(before)
    await until(async () => (await fleetsView(window(1600))).remaining === 1539)
  })

  test('lets through no more than its part of what is left, and then asks the fleet', async () => {
    const limiter = open({ allowance: 1 / 16 })
    await limiter.take(subject, window(161))
    const now = Array.from({ length: 30 }, () => limiter.takeNow(subject, window(161))?.kind)
    expect(now.filter((kind) => kind === 'allowed')).toHaveLength(10)
    expect((await limiter.take(subject, window(161))).remaining).toBe(149)
    expect((await fleetsView(window(161))).remaining).toBe(149)
  })

  test('a subject that was forgotten and comes back counts as before', async () => {
    const limiter = open({ maxSubjects: 1 })
    for (const one of [subject, subject, randomUUID(), subject]) await limiter.charge(one, window(100), 1)
    expect((await fleetsView(window(100))).remaining).toBe(97)
  })

  test('what is unreported is reported when it ends', async () => {
    const limiter = open({ allowance: 1 / 16 })
    await limiter.take(subject, window(1600))
    for (let turn = 0; turn < 9; turn++) limiter.takeNow(subject, window(1600))
    await limiter.close()
    expect((await fleetsView(window(1600))).remaining).toBe(1590)
  })
})

describe('while Redis is away', () => {
  test('a share is told as one, also when the counter is not known to be away yet', async () => {
    const whole = { kind: 'allowed', limit: 40, remaining: 40, resetMs: 1000 } as const
    let answer: Decision | Unanswered = whole
    const counter = { up: true, onUp: () => () => {}, spend: async () => answer }
    const limiter = new SharedRateLimiter(counter, { members: () => 4 })
    expect(await limiter.check('subject', window(40))).toEqual(whole)
    answer = { kind: 'unanswered', mayBeCounted: false }
    expect(await limiter.check('subject', window(40))).toMatchObject({ remaining: 10, isShare: true })
    await limiter.close()
  })

  test('each keeps to its share, and tells on return what it has let through', async () => {
    const own = await startTestRedis()
    const link = await fleetLink(own.url, 'away', 3000)
    const limiter = limiterOn(link, { members: () => 4 })
    try {
      await limiter.take('subject', window(40), 3)
      await own.stop()
      await whenDown(link)
      const kinds = Array.from({ length: 20 }, () => limiter.takeNow('subject', window(40))?.kind)
      // A quarter of the 40, of which three were taken before.
      expect(kinds.filter((kind) => kind === 'allowed')).toHaveLength(7)
      expect(kinds.filter((kind) => kind === 'limited')).toHaveLength(13)
      expect((await limiter.take('subject', window(40))).kind).toBe('limited')
      const back = await startTestRedis({ port: own.port })
      try {
        await whenUp(link)
        const fleet = counting(link, scope)
        // The server that came back is empty.
        await until(async () => (await fleet.check('subject', window(40))).remaining === 33)
      } finally {
        await back.stop()
      }
    } finally {
      await limiter.close()
      link.close()
      await own.stop()
    }
  })
})
