import { manualClock } from '@ipfleet/testing/manual-clock.ts'
import { afterEach, describe, expect, jest, test } from '@jest/globals'
import { FleetClock } from './fleet-clock.ts'

afterEach(() => {
  jest.restoreAllMocks()
})

describe('the fleet’s clock before Redis has answered', () => {
  test('starts as the wall clock and goes on with the monotonic one', () => {
    jest.spyOn(Date, 'now').mockReturnValue(1_700_000_000_000)
    const monotonic = manualClock(500)
    const clock = new FleetClock(monotonic)
    monotonic.advance(250)
    expect(clock.epochMs()).toBe(1_700_000_000_250)
    expect(clock.nowMs()).toBe(750)
  })

  test('does not jump when the wall clock does', () => {
    const monotonic = manualClock()
    const wall = jest.spyOn(Date, 'now').mockReturnValue(1_700_000_000_000)
    const clock = new FleetClock(monotonic)
    wall.mockReturnValue(0)
    monotonic.advance(1)
    expect(clock.epochMs()).toBe(1_700_000_000_001)
  })
})
