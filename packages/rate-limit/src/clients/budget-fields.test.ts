import { expect, test } from '@jest/globals'
import { policyField } from './budget-fields.ts'

const requests = { kind: 'sliding-window', limit: 1000, windowMs: 3_600_000 } as const
const units = { kind: 'sliding-window', limit: 5, windowMs: 1000 } as const

test('the fields are structured lists as in the draft', () => {
  expect(policyField({ requests, units })).toBe('"requests";q=1000;w=3600, "units";q=5;w=1')
  expect(policyField({ units })).toBe('"units";q=5;w=1')
  expect(policyField({})).toBe('')
})
