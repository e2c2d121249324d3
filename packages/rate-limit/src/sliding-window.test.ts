import { describe, expect, test } from '@jest/globals'
import type { SlidingWindow } from './policy.ts'
import { charging, type Decision, taking } from './rate-limiter.ts'
import { spendFromWindow, type WindowCounts } from './sliding-window.ts'

const policy: SlidingWindow = { kind: 'sliding-window', limit: 10, windowMs: 1000 }

function subject() {
  let counts: WindowCounts | undefined
  return (nowMs: number, spending = taking(1)): Decision => {
    const spent = spendFromWindow(counts, policy, nowMs, spending)
    counts = spent.counts
    return spent.decision
  }
}

describe('the window before', () => {
  test('weighs by the part of it that is not yet a window ago', () => {
    const spend = subject()
    spend(500, taking(10))
    // A quarter into the next window three quarters of the ten still count: 7.5, so 2 more.
    expect(spend(1250)).toMatchObject({ kind: 'allowed', remaining: 1 })
    expect(spend(1250)).toMatchObject({ kind: 'allowed', remaining: 0 })
    expect(spend(1250)).toMatchObject({ kind: 'limited', retryAfterMs: 50, resetMs: 750 })
    expect(spend(1299).kind).toBe('limited')
    expect(spend(1300).kind).toBe('allowed')
  })

  test('counts no more when a whole window lies between', () => {
    const spend = subject()
    spend(500, taking(10))
    expect(spend(2000)).toMatchObject({ kind: 'allowed', remaining: 9 })
  })
})

test('a full window is told to wait until enough of it has slid away', () => {
  const spend = subject()
  spend(200, taking(10))
  // The window turns in 700 ms; a tenth of it must then be over before one of the ten counts no more.
  expect(spend(300)).toMatchObject({ kind: 'limited', retryAfterMs: 800 })
  expect(spend(1099).kind).toBe('limited')
  expect(spend(1100).kind).toBe('allowed')
})

test('a charge beyond the limit is worked off in the windows that follow', () => {
  const spend = subject()
  spend(0, charging(20))
  expect(spend(1400)).toMatchObject({ kind: 'limited', retryAfterMs: 150 })
  expect(spend(1550).kind).toBe('allowed')
})

test('what costs more than the limit is never allowed, and told the longest wait there is', () => {
  expect(subject()(100, taking(11))).toMatchObject({ kind: 'limited', retryAfterMs: 1900, remaining: 10 })
})
