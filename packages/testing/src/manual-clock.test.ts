import { expect, test } from '@jest/globals'
import { manualClock } from './manual-clock.ts'

test('time stands still until it is moved', () => {
  const clock = manualClock(1000)
  expect([clock.nowMs(), clock.nowMs()]).toEqual([1000, 1000])
  expect(clock.advance(250)).toBe(1250)
  expect(clock.set(5000)).toBe(5000)
  expect(clock.nowMs()).toBe(5000)
})

test('it starts at zero', () => {
  expect(manualClock().nowMs()).toBe(0)
})

test('it never goes back', () => {
  const clock = manualClock(10)
  expect(() => clock.advance(-1)).toThrow(RangeError)
  expect(() => clock.set(9)).toThrow(RangeError)
  expect(() => clock.advance(Number.NaN)).toThrow(RangeError)
  expect(clock.nowMs()).toBe(10)
})

test('its reading can be passed on without the clock', () => {
  const { nowMs, advance } = manualClock()
  advance(3)
  expect(nowMs()).toBe(3)
})
