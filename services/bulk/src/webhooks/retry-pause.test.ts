import { describe, expect, test } from '@jest/globals'
import { retryAfterMs } from '@ipfleet/http-server/retry-after.ts'
import { retryPauseMs, defaultPauses } from './retry-pause.ts'

const pauses = (random: number): number[] =>
  Array.from({ length: 14 }, (_, index) => retryPauseMs(defaultPauses, index + 1, 0, () => random))

describe('pauses between attempts', () => {
  test('double from one second to ten minutes, half of each by chance', () => {
    expect(pauses(1)).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600, 600, 600].map((one) => one * 1000))
    expect(pauses(0)).toEqual(pauses(1).map((most) => most / 2))
  })

  test('grow whatever chance says, up to the longest', () => {
    const least = pauses(0)
    const most = pauses(1)
    for (let index = 1; index < 10; index += 1) expect(least[index]).toBeGreaterThanOrEqual(most[index - 1] ?? NaN)
  })

  test('bridge an outage of a minute without losing many attempts, and last most of an hour', () => {
    const sum = pauses(0.5).reduce((total, one) => total + one, 0)
    expect(sum).toBeGreaterThan(40 * 60_000)
    expect(sum).toBeLessThan(60 * 60_000)
  })

  test('are as long as the receiver asks for, up to an hour, and never shorter than they would be', () => {
    expect(retryPauseMs(defaultPauses, 1, 30_000)).toBe(30_000)
    expect(retryPauseMs(defaultPauses, 1, 86_400_000)).toBe(3_600_000)
    expect(retryPauseMs(defaultPauses, 5, 10, () => 1)).toBe(16_000)
  })
})

describe('Retry-After', () => {
  const nowMs = Date.parse('Wed, 21 Oct 2015 07:28:00 GMT')

  test.each([
    ['120', 120_000],
    [' 0 ', 0],
    ['Wed, 21 Oct 2015 07:28:30 GMT', 30_000],
    ['Wednesday, 21-Oct-15 07:28:30 GMT', 30_000],
    ['Wed, 21 Oct 2015 07:00:00 GMT', 0],
    ['-5', undefined],
    ['1.5', 1500],
    ['soon', undefined],
    ['', undefined],
    [undefined, undefined],
  ])('%j is %s', (field, expected) => {
    expect(retryAfterMs(field, nowMs)).toBe(expected)
  })
})
