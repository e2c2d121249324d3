import { expect, test } from '@jest/globals'
import { manualClock } from '@ipfleet/testing/manual-clock.ts'
import { rateLimiterContract } from '../test/rate-limiter-contract.ts'
import { LocalRateLimiter } from './local-rate-limiter.ts'
import type { Policy } from './policy.ts'

rateLimiterContract('LocalRateLimiter', async () => {
  const clock = manualClock(1_000_000)
  return {
    limiters: [new LocalRateLimiter({ clock })],
    pass: async (ms) => clock.advance(ms),
    close: async () => {},
  }
})

test('forgets who has not been seen for longest, and nobody else', () => {
  const limiter = new LocalRateLimiter({ clock: manualClock(), maxSubjects: 2 })
  const once: Policy = { kind: 'token-bucket', burst: 1, refillPerSecond: 0.001 }
  const isAllowed = (subject: string): boolean => limiter.takeNow(subject, once).kind === 'allowed'
  expect([isAllowed('a'), isAllowed('b'), isAllowed('a'), isAllowed('c')]).toEqual([true, true, false, true])
  expect([isAllowed('a'), isAllowed('b')]).toEqual([false, true])
})
