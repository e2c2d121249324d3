import { expect, test } from '@jest/globals'
import { policyField, policyMember, standingMember } from './rate-limit-fields.ts'

test('members are written as in the draft', () => {
  const window = { kind: 'sliding-window', limit: 10, windowMs: 60_000 } as const
  const bucket = { kind: 'token-bucket', burst: 10, refillPerSecond: 0.5 } as const
  expect(policyMember('client', window)).toBe('"client";q=10;w=60')
  expect(policyMember('client', bucket)).toBe('"client";q=10;w=20')
  expect(standingMember('requests', { limit: 1000, remaining: 999, resetMs: 1001 })).toBe('"requests";r=999;t=2')
})

const requests = { kind: 'sliding-window', limit: 1000, windowMs: 3_600_000 } as const
const units = { kind: 'sliding-window', limit: 5, windowMs: 1000 } as const

test('the field of several budgets is a list of them', () => {
  expect(policyField({ requests, units })).toBe('"requests";q=1000;w=3600, "units";q=5;w=1')
  expect(policyField({ units })).toBe('"units";q=5;w=1')
  expect(policyField({})).toBe('')
})
