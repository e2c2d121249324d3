import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { Policy } from '../src/policy.ts'
import type { Decision, RateLimiter } from '../src/rate-limiter.ts'

/** Limiters that count together, as the contract uses them. */
export interface LimitersUnderTest {
  /** What one of them takes is gone for the others; at least one. */
  readonly limiters: readonly RateLimiter[]
  /** Lets that much time pass. */
  readonly pass: (ms: number) => Promise<unknown>
  readonly close: () => Promise<unknown>
}

/** Longer than any test. */
const hourMs = 3_600_000
const longWindow: Policy = { kind: 'sliding-window', limit: 5, windowMs: hourMs }
const slowBucket: Policy = { kind: 'token-bucket', burst: 5, refillPerSecond: 0.001 }

/** What every RateLimiter promises. */
export function rateLimiterContract(name: string, open: () => Promise<LimitersUnderTest>): void {
  describe(`${name}, as a RateLimiter`, () => {
    let opened: LimitersUnderTest
    let subject: string
    beforeEach(async () => {
      opened = await open()
      subject = randomUUID()
    })
    afterEach(() => opened.close())

    const takeInTurn = async (count: number, policy: Policy): Promise<Decision[]> => {
      const decisions: Decision[] = []
      for (let turn = 0; turn < count; turn++) {
        const limiter = opened.limiters[turn % opened.limiters.length] as RateLimiter
        decisions.push(await limiter.take(subject, policy))
      }
      return decisions
    }

    /** On a machine that stands still, some of what was taken comes back before more is asked for. */
    const takeUntilRefused = async (limiter: RateLimiter, policy: Policy): Promise<number> => {
      for (;;) {
        const decision = await limiter.take(subject, policy)
        if (decision.kind === 'limited') return decision.retryAfterMs
      }
    }

    describe.each([
      ['a sliding window', longWindow],
      ['a token bucket', slowBucket],
    ])('%s', (_name, policy) => {
      test('lets through exactly its limit, and says each time what is left', async () => {
        const decisions = await takeInTurn(8, policy)
        expect(decisions.map(({ kind }) => kind)).toEqual([...five('allowed'), ...five('limited').slice(2)])
        expect(decisions.map(({ remaining }) => remaining)).toEqual([4, 3, 2, 1, 0, 0, 0, 0])
        expect(decisions.every(({ limit }) => limit === 5)).toBe(true)
      })

      test('takes all of a cost or nothing of it', async () => {
        const [limiter] = opened.limiters as [RateLimiter]
        expect(await limiter.take(subject, policy, 4)).toMatchObject({ kind: 'allowed', remaining: 1 })
        expect(await limiter.take(subject, policy, 2)).toMatchObject({ kind: 'limited', remaining: 1 })
        expect(await limiter.take(subject, policy, 1)).toMatchObject({ kind: 'allowed', remaining: 0 })
      })

      test('counts at once for all who count together: 40 at a time get five', async () => {
        const { limiters } = opened
        const all = Array.from({ length: 40 }, (_, turn) => limiters[turn % limiters.length] as RateLimiter)
        const decisions = await Promise.all(all.map((limiter) => limiter.take(subject, policy)))
        expect(decisions.filter(({ kind }) => kind === 'allowed')).toHaveLength(5)
      })

      test('keeps subjects apart', async () => {
        await takeInTurn(5, policy)
        const [limiter] = opened.limiters as [RateLimiter]
        expect(await limiter.take(`${subject}-other`, policy)).toMatchObject({ kind: 'allowed', remaining: 4 })
      })

      test('tells whether anything is left without taking it', async () => {
        const [limiter] = opened.limiters as [RateLimiter]
        for (let times = 0; times < 7; times++) expect((await limiter.check(subject, policy)).kind).toBe('allowed')
        await limiter.take(subject, policy, 5)
        const over = await limiter.check(subject, policy)
        expect(over).toMatchObject({ kind: 'limited', remaining: 0 })
        expect(over.kind === 'limited' && over.retryAfterMs > 0).toBe(true)
      })

      test('a charge counts beyond the limit, and what comes after it is refused', async () => {
        const [limiter] = opened.limiters as [RateLimiter]
        expect(await limiter.charge(subject, policy, 12)).toMatchObject({ kind: 'allowed', remaining: 0 })
        expect((await limiter.take(subject, policy)).kind).toBe('limited')
      })
    })

    test('a bucket refills: refused now, allowed after the time it was told', async () => {
      const quick: Policy = { kind: 'token-bucket', burst: 2, refillPerSecond: 10 }
      const [limiter] = opened.limiters as [RateLimiter]
      const retryAfterMs = await takeUntilRefused(limiter, quick)
      expect(retryAfterMs).toBeGreaterThan(0)
      expect(retryAfterMs).toBeLessThanOrEqual(100)
      await opened.pass(retryAfterMs)
      expect((await limiter.take(subject, quick)).kind).toBe('allowed')
    })

    test('a window slides: refused now, allowed after the time it was told', async () => {
      const quick: Policy = { kind: 'sliding-window', limit: 2, windowMs: 150 }
      const [limiter] = opened.limiters as [RateLimiter]
      const retryAfterMs = await takeUntilRefused(limiter, quick)
      expect(retryAfterMs).toBeGreaterThan(0)
      expect(retryAfterMs).toBeLessThanOrEqual(300)
      await opened.pass(retryAfterMs)
      expect((await limiter.take(subject, quick)).kind).toBe('allowed')
    })
  })
}

const five = (word: string): string[] => Array.from({ length: 5 }, () => word)
