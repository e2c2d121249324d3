import { describe, expect, test } from '@jest/globals'

import { type Attempt, FleetFault, isPassing, RetryPolicy } from './retry-policy.ts'

const never = new AbortController().signal
const again: Attempt<string> = { kind: 'again', why: 'away' }

test('what the server cannot help now passes; what it refuses does not', () => {
  expect([408, 429, 500, 502, 503, 504].every(isPassing)).toBe(true)
  expect([200, 400, 401, 403, 404, 409, 413, 501].some(isPassing)).toBe(false)
})

/** Attempts with these outcomes, one after the other. */
function tries(outcomes: readonly Attempt<string>[]): () => Promise<Attempt<string>> {
  const left = [...outcomes]
  return async () => left.shift() ?? { kind: 'done', value: 'late' }
}

/** How long it waits after these. */
async function waitsAfter(outcomes: readonly Attempt<string>[]): Promise<readonly number[]> {
  const waits: number[] = []
  await new RetryPolicy({ wait: async (ms) => void waits.push(ms) }).retry(tries(outcomes), never)
  return waits
}

describe('the pause before another try', () => {
  test('doubles, up to half a minute, and half of it is by chance', async () => {
    const waits = await waitsAfter(Array.from({ length: 10 }, () => again))
    for (const [at, ms] of waits.entries()) {
      const most = Math.min(250 * 2 ** at, 30_000)
      expect(ms).toBeGreaterThanOrEqual(most / 2)
      expect(ms).toBeLessThanOrEqual(most)
    }
  })

  test('is never shorter than what the server asks for, but for an hour at most', async () => {
    const [soon = 0, never_ = 0] = await waitsAfter([
      { ...again, retryAfterMs: 7000 },
      { ...again, retryAfterMs: 1e12 },
    ])
    expect(soon).toBeGreaterThanOrEqual(7000)
    expect(never_).toBeLessThan(3_601_000)
  })
})

describe('retryPolicy', () => {
  test('goes on until it is done, and tells of the outage and of its end once', async () => {
    const notes: string[] = []
    const retryPolicy = new RetryPolicy({ note: (text) => notes.push(text), wait: async () => undefined })
    expect(await retryPolicy.retry(tries([again, again, { kind: 'done', value: 'there' }]), never)).toBe('there')
    expect(notes).toEqual(['away; trying again', 'the fleet answers again'])
  })

  test('has an end after 25 failures in a row; something gained makes it new', async () => {
    let waits = 0
    const retryPolicy = new RetryPolicy({ wait: async () => void (waits += 1) })
    const many = Array.from({ length: 24 }, () => again)
    const gained = await retryPolicy.retry(tries([...many, { ...again, isFirst: true }, ...many.slice(1)]), never)
    expect([gained, waits]).toEqual(['late', 48])
    await expect(retryPolicy.retry(tries([...many, again]), never)).rejects.toThrow('away; given up after 25 tries')
  })

  test('ends with its signal', async () => {
    const stop = new AbortController()
    const long: Attempt<never> = { kind: 'again', why: 'away', retryAfterMs: 60_000 }
    const stopped = new RetryPolicy().retry(async () => long, stop.signal)
    stop.abort()
    await expect(stopped).rejects.toThrow('aborted')
  })

  test('does not persist in what is at fault itself', async () => {
    const fault = new FleetFault('refused')
    await expect(new RetryPolicy().retry(() => Promise.reject(fault), never)).rejects.toBe(fault)
  })
})
