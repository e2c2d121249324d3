import { expect, test } from '@jest/globals'
import { type Policy, shareOf, type TokenBucket } from './policy.ts'
import { charging, type Decision, taking } from './rate-limiter.ts'
import { type BucketLevel, spendFromBucket } from './token-bucket.ts'

const policy: TokenBucket = { kind: 'token-bucket', burst: 10, refillPerSecond: 0.5 }

function subject() {
  let level: BucketLevel | undefined
  return (nowMs: number, spending = taking(1)): Decision => {
    const spent = spendFromBucket(level, policy, nowMs, spending)
    level = spent.level
    return spent.decision
  }
}

test('ten at once, then one every two seconds', () => {
  const spend = subject()
  expect(spend(0, taking(10))).toMatchObject({ kind: 'allowed', remaining: 0, resetMs: 20_000 })
  expect(spend(0)).toMatchObject({ kind: 'limited', retryAfterMs: 2000 })
  expect(spend(1999).kind).toBe('limited')
  expect(spend(2000).kind).toBe('allowed')
  expect(spend(2000)).toMatchObject({ kind: 'limited', retryAfterMs: 2000 })
})

test('holds no more than its burst, however long nobody asks', () => {
  const spend = subject()
  spend(0, taking(3))
  expect(spend(3_600_000)).toMatchObject({ kind: 'allowed', remaining: 9 })
})

test('a charge beyond what there is must flow in again first', () => {
  const spend = subject()
  spend(0, charging(12))
  expect(spend(0)).toMatchObject({ kind: 'limited', retryAfterMs: 6000, remaining: 0 })
})

test.each<{ what: string; policy: Policy; members: number; share: object }>([
  {
    what: 'a window over four',
    policy: { kind: 'sliding-window', limit: 10, windowMs: 1 },
    members: 4,
    share: { limit: 2 },
  },
  { what: 'more members than requests', policy, members: 40, share: { burst: 1, refillPerSecond: 0.0125 } },
  { what: 'nobody else', policy, members: 0, share: { burst: 10, refillPerSecond: 0.5 } },
])('the share of one: $what', ({ policy: whole, members, share }) => {
  expect(shareOf(whole, members)).toMatchObject(share)
})
