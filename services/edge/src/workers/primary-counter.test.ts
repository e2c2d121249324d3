import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { expect, test } from '@jest/globals'
import { SharedRateLimiter } from '@ipfleet/rate-limit/shared-rate-limiter.ts'
import { LocalRateLimiter } from '@ipfleet/rate-limit/local-rate-limiter.ts'
import type { Policy } from '@ipfleet/rate-limit/policy.ts'
import { type Decision, taking } from '@ipfleet/rate-limit/rate-limiter.ts'
import type { Expense } from './messages.ts'
import { PrimaryCounter } from './primary-counter.ts'

const ten: Policy = { kind: 'sliding-window', limit: 10, windowMs: 3_600_000 }

/** A primary that counts, and answers at once unless it is paused. */
class FakePrimary {
  readonly batches: (readonly Expense[])[] = []
  readonly #counts = new LocalRateLimiter()
  #resumed: Promise<void> = Promise.resolve()
  resume = (): void => undefined

  readonly ask = async (expenses: readonly Expense[]): Promise<readonly Decision[]> => {
    this.batches.push(expenses)
    await this.#resumed
    return expenses.map(({ subject, policy, spending }) => this.#counts.spend(subject, policy, spending))
  }

  pause(): void {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#resumed = promise
    this.resume = resolve
  }

  /** What is left of the ten. */
  async remaining(subject: string): Promise<number> {
    return (await this.#counts.check(subject, ten)).remaining
  }
}

const counterOf = (primary: FakePrimary) => new PrimaryCounter({ ask: primary.ask, answerWithinMs: 20 })
const limiterOf = (primary: FakePrimary) => new SharedRateLimiter(counterOf(primary), { members: () => 5 })
const takes = (limiter: SharedRateLimiter, count: number) =>
  Promise.all(Array.from({ length: count }, () => limiter.take('client', ten)))
const allowed = (decisions: readonly Decision[]) => decisions.filter(({ kind }) => kind === 'allowed').length

test('what comes up in one turn of the event loop travels as one message', async () => {
  const primary = new FakePrimary()
  const counter = counterOf(primary)
  const asked = ['a', 'b', 'a'].map((subject) => counter.spend(subject, ten, taking(1)))
  const decisions = await Promise.all(asked)
  expect(primary.batches.map((batch) => batch.map(({ subject }) => subject))).toEqual([['a', 'b', 'a']])
  expect(decisions.map((decision) => 'remaining' in decision && decision.remaining)).toEqual([9, 9, 8])
})

test('several workers together let through exactly the limit', async () => {
  const primary = new FakePrimary()
  const decisions = await Promise.all([1, 2, 3].map(() => takes(limiterOf(primary), 20)))
  expect(allowed(decisions.flat())).toBe(10)
})

test('who is known to be over is refused without a message', async () => {
  const primary = new FakePrimary()
  const limiter = limiterOf(primary)
  await takes(limiter, 11)
  const before = primary.batches.length
  expect(limiter.takeNow('client', ten)).toMatchObject({ kind: 'limited', limit: 10, remaining: 0 })
  expect(allowed(await takes(limiter, 5))).toBe(0)
  expect(primary.batches).toHaveLength(before)
})

test('a primary that does not answer in time is not asked again until it does; the share counts', async () => {
  const primary = new FakePrimary()
  const limiter = limiterOf(primary)
  primary.pause()
  expect(allowed(await takes(limiter, 1))).toBe(1)
  const now = Array.from({ length: 4 }, () => limiter.takeNow('client', ten)?.kind)
  // A fifth of ten, of which one was taken.
  expect(now).toEqual(['allowed', 'limited', 'limited', 'limited'])
  expect(primary.batches).toHaveLength(1)
  primary.resume()
  // The first was counted when the primary came to it; the second is reported when it has answered.
  await new Promise(setImmediate)
  await limiter.close()
  expect(await primary.remaining('client')).toBe(8)
})

test('a charge that was late is not counted twice', async () => {
  const primary = new FakePrimary()
  const limiter = limiterOf(primary)
  primary.pause()
  await limiter.charge('client', ten, 3)
  await limiter.charge('client', ten, 2)
  primary.resume()
  await new Promise(setImmediate)
  await limiter.close()
  expect(await primary.remaining('client')).toBe(5)
})

test('a primary that is gone leaves the share', async () => {
  const counter = new PrimaryCounter({ ask: async () => undefined })
  const limiter = new SharedRateLimiter(counter, { members: () => 5 })
  expect(allowed(await takes(limiter, 6))).toBe(2)
  expect(counter.up).toBe(false)
  await limiter.close()
})

test('an answer that came while this process could not run is no answer that is late', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const channel = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [[far]] = await Promise.all([once(server, 'connection'), once(channel, 'connect')])
  const primary = new FakePrimary()
  const ask = async (expenses: readonly Expense[]): Promise<readonly Decision[]> => {
    far.write('answer')
    for (const untilMs = performance.now() + 50; performance.now() < untilMs;);
    await once(channel, 'data')
    return primary.ask(expenses)
  }
  const counter = new PrimaryCounter({ ask, answerWithinMs: 20 })
  expect(await counter.spend('client', ten, taking(1))).toMatchObject({ kind: 'allowed', remaining: 9 })
  expect(counter.up).toBe(true)
  channel.destroy()
  server.close()
})
