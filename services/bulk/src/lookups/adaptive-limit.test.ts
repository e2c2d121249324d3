import { expect, test } from '@jest/globals'
import { AdaptiveLimit } from './adaptive-limit.ts'

/** A fleet that works on `capacity` batches at a time, each for 50 ms; the others queue. */
function settled(limit: AdaptiveLimit, capacity: number, answers = 1900): number {
  for (let answer = 0; answer < answers; answer += 1) {
    limit.answered(50 * Math.max(1, limit.limit / capacity))
  }
  return limit.limit
}

test('grows as far as the fleet answers as fast as before, and little further', () => {
  const limit = settled(new AdaptiveLimit({ max: 50 }), 8)
  expect(limit).toBeGreaterThanOrEqual(8)
  expect(limit).toBeLessThanOrEqual(13)
})

test('never goes beyond what is set', () => {
  expect(settled(new AdaptiveLimit({ max: 3 }), 100)).toBe(3)
})

test('shrinks when the fleet gets slower, and grows again with it', () => {
  const limit = new AdaptiveLimit({ max: 50 })
  const before = settled(limit, 20)
  for (let answer = 0; answer < 90; answer += 1) limit.answered(400)
  const slower = limit.limit
  expect(slower).toBeLessThan(before)
  expect(settled(limit, 20)).toBeGreaterThan(slower)
})

test('halves when it is refused, and keeps one', () => {
  const limit = new AdaptiveLimit({ max: 50 })
  const before = settled(limit, 20)
  limit.refused()
  expect(limit.limit).toBe(Math.floor(before / 2))
  for (let refusal = 0; refusal < 20; refusal += 1) limit.refused()
  expect(limit.limit).toBe(1)
})
