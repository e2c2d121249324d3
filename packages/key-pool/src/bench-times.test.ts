import { describe, expect, test } from '@jest/globals'
import { quotaTurnsInMs, limitedFor, quarantineFor } from './bench-times.ts'

const times = { cooldownMs: 60_000, quarantineMs: 600_000 }
const hourMs = 3_600_000
const dayMs = 86_400_000

describe('how long a key rests after a 429', () => {
  test.each<[string, number, number]>([
    ['what Retry-After says', 90, 90_000],
    ['less than the cooldown, if it says so', 2, 2000],
    ['at least a second', 0, 1000],
    ['at most a day', 999_999_999, dayMs],
  ])('%s', (_, retryAfterSeconds, durationMs) => {
    expect(limitedFor(times, retryAfterSeconds)).toEqual({ durationMs })
  })

  test('without Retry-After the cooldown, doubling up to an hour', () => {
    expect(limitedFor(times, undefined)).toEqual({ durationMs: 60_000, doublingUpToMs: hourMs })
  })

  test('a cooldown of more than an hour is not cut down to it', () => {
    const long = { ...times, cooldownMs: 2 * hourMs }
    expect(limitedFor(long, undefined)).toEqual({ durationMs: 2 * hourMs, doublingUpToMs: 2 * hourMs })
  })
})

describe('how long a refused key rests', () => {
  test('the quarantine, doubling up to a day', () => {
    expect(quarantineFor(times)).toEqual({ durationMs: 600_000, doublingUpToMs: dayMs })
  })

  test('a quarantine of more than a day is not cut down to it', () => {
    const long = { ...times, quarantineMs: 2 * dayMs }
    expect(quarantineFor(long)).toEqual({ durationMs: 2 * dayMs, doublingUpToMs: 2 * dayMs })
  })
})

test.each([
  ['an hour before the month turns', Date.UTC(2026, 10, 30, 23), hourMs],
  ['as it turns', Date.UTC(2026, 11, 1), 300_000],
  ['a moment before the first hour is over', Date.UTC(2027, 0, 1, 0, 59, 59, 999), 300_000],
  ['after the first hour', Date.UTC(2026, 1, 1, 1), 28 * dayMs - hourMs],
])('a key that is empty %s is so until its quota may have turned', (_, epochMs, durationMs) => {
  expect(quotaTurnsInMs(epochMs)).toBe(durationMs)
})
