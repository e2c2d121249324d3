import { expect, test } from '@jest/globals'
import { manualClock } from '@ipfleet/testing/manual-clock.ts'
import { LiveRate } from './live-rate.ts'

test('the rate is that of the last second, or of the time since it was asked for', () => {
  const clock = manualClock()
  let total = 100
  const rate = new LiveRate(() => total, clock)
  expect(rate.perSecond()).toBe(0)
  total += 50
  clock.advance(1000)
  expect(rate.perSecond()).toBe(50)
  total += 1000
  clock.advance(999)
  expect(rate.perSecond()).toBe(50)
  clock.advance(1001)
  expect(rate.perSecond()).toBe(500)
  clock.advance(10_000)
  expect(rate.perSecond()).toBe(0)
})
