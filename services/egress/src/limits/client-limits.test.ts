import { expect, test } from '@jest/globals'
import { LocalRateLimiter } from '@ipfleet/rate-limit/local-rate-limiter.ts'
import type { TokenBucket } from '@ipfleet/rate-limit/policy.ts'
import { manualClock } from '@ipfleet/testing/manual-clock.ts'
import { anybody } from '../auth/authenticator.ts'
import { ClientLimits } from './client-limits.ts'

const bucket: TokenBucket = { kind: 'token-bucket', burst: 2, refillPerSecond: 0.5 }

function limitsOf(everybody: TokenBucket | undefined) {
  const clock = manualClock()
  return { clock, limits: new ClientLimits(new LocalRateLimiter({ clock }), everybody) }
}

test('a client may ask its burst at once, and from then on as fast as the bucket fills', async () => {
  const { clock, limits } = limitsOf(bucket)
  const take = async () => limits.take('192.0.2.1', anybody)
  expect([await take(), await take()]).toEqual([undefined, undefined])
  expect((await take())?.retryAfterSeconds).toBe(2)
  clock.advance(2000)
  expect(await take()).toBeUndefined()
  expect(await take()).toBeDefined()
  expect(limits.counts).toEqual({ allowed: 3, limited: 2 })
})

test('one that has asked too much is told its limit and when to try again, in whole seconds, at least one', async () => {
  const { limits } = limitsOf({ ...bucket, burst: 1, refillPerSecond: 100 })
  await limits.take('192.0.2.1', anybody)
  const over = await limits.take('192.0.2.1', anybody)
  expect(over?.retryAfterSeconds).toBe(1)
  const { fields = [] } = over ?? {}
  expect([fields[0], fields[2]]).toEqual(['RateLimit-Policy', 'RateLimit'])
})

test('clients do not share a bucket, but all addresses of one IPv6 subscriber do', async () => {
  const { limits } = limitsOf({ ...bucket, burst: 1 })
  expect(await limits.take('192.0.2.1', anybody)).toBeUndefined()
  expect(await limits.take('192.0.2.2', anybody)).toBeUndefined()
  expect(await limits.take('2001:db8::1', anybody)).toBeUndefined()
  expect(await limits.take('2001:db8::2', anybody)).toBeDefined()
})

test('a user has one bucket, from whichever address, apart from that of the address', async () => {
  const { limits } = limitsOf({ ...bucket, burst: 1 })
  const alice = { ...anybody, user: 'alice' }
  expect(await limits.take('192.0.2.1', alice)).toBeUndefined()
  expect(await limits.take('192.0.2.2', alice)).toBeDefined()
  expect(await limits.take('192.0.2.1', anybody)).toBeUndefined()
})

test('a user may have a limit of its own, also where others have none', async () => {
  const { limits } = limitsOf(undefined)
  const alice = { ...anybody, user: 'alice', limit: { burst: 1, refillPerSecond: 1 } }
  expect(await limits.take('192.0.2.1', alice)).toBeUndefined()
  expect(await limits.take('192.0.2.1', alice)).toBeDefined()
  for (let count = 0; count < 100; count += 1) expect(await limits.take('192.0.2.1', anybody)).toBeUndefined()
})

test('a limit that a reload has changed is counted anew', async () => {
  const { limits } = limitsOf(undefined)
  const before = { ...anybody, user: 'alice', limit: { burst: 1, refillPerSecond: 1 } }
  await limits.take('192.0.2.1', before)
  expect(await limits.take('192.0.2.1', before)).toBeDefined()
  expect(await limits.take('192.0.2.1', { ...before, limit: { burst: 2, refillPerSecond: 1 } })).toBeUndefined()
})

test('what memory can tell is told without a wait', () => {
  const { limits } = limitsOf(bucket)
  expect(limits.take('192.0.2.1', anybody)).not.toBeInstanceOf(Promise)
})
