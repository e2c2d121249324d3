import { expect, test } from '@jest/globals'
import { policyMember, standingMember } from './rate-limit-fields.ts'

test('members are written as in the draft', () => {
  const window = { kind: 'sliding-window', limit: 10, windowMs: 60_000 } as const
  const bucket = { kind: 'token-bucket', burst: 10, refillPerSecond: 0.5 } as const
  expect(policyMember('client', window)).toBe('"client";q=10;w=60')
  expect(policyMember('client', bucket)).toBe('"client";q=10;w=20')
  expect(standingMember('requests', { limit: 1000, remaining: 999, resetMs: 1001 })).toBe('"requests";r=999;t=2')
})
