import { expect, test } from '@jest/globals'
import { manualClock } from '@ipfleet/testing/manual-clock.ts'
import { Tally } from './tally.ts'

test('the rate is that of the last seconds, and the rest of the time follows from it', () => {
  const clock = manualClock()
  const tally = new Tally(0, undefined, clock)
  tally.expect(100_000)
  for (let second = 0; second < 60; second += 1) {
    clock.advance(1000)
    tally.wrote(second < 40 ? 100 : 1000)
  }
  const { done, rate, etaSeconds } = tally.progress()
  expect(done).toBe(24_000)
  expect(rate).toBeCloseTo(1000, -2)
  expect(etaSeconds).toBeCloseTo(76, -1)
  expect(tally.meanRate).toBe(400)
})

test('while nothing comes, the rate falls and the end is unknown', () => {
  const clock = manualClock()
  const tally = new Tally(0, undefined, clock)
  tally.expect(1000)
  clock.advance(1000)
  tally.wrote(500)
  clock.advance(60_000)
  expect(tally.progress()).toMatchObject({ rate: 0, etaSeconds: undefined, done: 500, total: 1000 })
})

test('lines of the run before are done, but were not made at this run’s rate', () => {
  const clock = manualClock()
  const tally = new Tally(5000, { answered: 4990, cached: 10, errors: { wrong_ip: 10 } }, clock)
  clock.advance(2000)
  tally.wrote(100)
  tally.add({ answered: 98, cached: 3, errors: { wrong_ip: 1, no_record: 1 } })
  expect(tally.progress()).toMatchObject({ done: 5100, rate: 50, cached: 13, errors: { wrong_ip: 11, no_record: 1 } })
  expect(tally.counts.answered).toBe(5088)
})
