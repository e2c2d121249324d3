import { describe, expect, test } from '@jest/globals'
import { FleetFault } from './fleet-fault.ts'
import { type Attempt, isPassing, RetryPolicy, pauseMs } from './retry-policy.ts'

describe('the pause before another try', () => {
  test.each([
    [1, 250],
    [2, 500],
    [5, 4000],
    [8, 30_000],
    [1000, 30_000],
  ])('after %i failures is up to %i ms, by chance', (failures, most) => {
    expect(pauseMs(failures, 0, () => 0)).toBe(0)
    expect(pauseMs(failures, 0, () => 1)).toBe(most)
  })

  test('is never shorter than what the server asks for, but for an hour at most', () => {
    expect(pauseMs(1, 7000, () => 0)).toBe(7000)
    expect(pauseMs(1, 1e12, () => 0)).toBe(3_600_000)
  })
})

test('what the server cannot help now passes; what it refuses does not', () => {
  expect([408, 429, 500, 502, 503, 504].every(isPassing)).toBe(true)
  expect([200, 400, 401, 403, 404, 409, 413, 501].some(isPassing)).toBe(false)
})

/** Attempts with these outcomes, one after the other. */
function tries(outcomes: readonly Attempt<string>[]): () => Promise<Attempt<string>> {
  const left = [...outcomes]
  return async () => left.shift() ?? { kind: 'done', value: 'late' }
}

describe('retryPolicy', () => {
  const never = new AbortController().signal
  test('goes on until it is done, and tells of the outage and of its end once', async () => {
    const notes: string[] = []
    const retryPolicy = new RetryPolicy(never, (text) => notes.push(text))
    const again: Attempt<string> = { kind: 'again', why: 'away' }
    expect(await retryPolicy.retry(tries([again, again, { kind: 'done', value: 'there' }]))).toBe('there')
    expect(notes).toEqual(['away; trying again', 'the fleet answers again'])
  })

  test('has an end after 25 failures in a row; something gained makes it new', async () => {
    let waits = 0
    const wait = async (): Promise<void> => void (waits += 1)
    const retryPolicy = new RetryPolicy(never, () => undefined, wait)
    const again: Attempt<string> = { kind: 'again', why: 'away' }
    const many = Array.from({ length: 24 }, () => again)
    const gained = await retryPolicy.retry(tries([...many, { ...again, isFirst: true }, ...many.slice(1)]))
    expect([gained, waits]).toEqual(['late', 48])
    await expect(retryPolicy.retry(tries([...many, again]))).rejects.toThrow('away; given up after 25 tries')
  })

  test('ends with its signal', async () => {
    const retryPolicy = new RetryPolicy(never, () => undefined)
    const short = new AbortController()
    const stopped = retryPolicy.retry(async () => ({ kind: 'again', why: 'away', retryAfterMs: 60_000 }), short.signal)
    short.abort()
    await expect(stopped).rejects.toThrow('aborted')
  })

  test('does not persist in what is at fault itself', async () => {
    const retryPolicy = new RetryPolicy(never, () => undefined)
    const fault = new FleetFault('refused')
    await expect(retryPolicy.retry(() => Promise.reject(fault))).rejects.toBe(fault)
  })
})
