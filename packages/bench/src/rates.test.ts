import { expect, test } from '@jest/globals'
import { type RateRound, rateRatioOf, rateSeriesOf } from './rates.ts'

const round = (amount: number, seconds = 1, errors = 0): RateRound => ({ amount, seconds, errors, cpuUs: amount * 100 })

test('a series adds up errors and takes the middle of the rates', () => {
  expect(rateSeriesOf('egress', [round(100, 1, 1), round(900, 1, 2), round(600, 2)])).toEqual({
    server: 'egress',
    perSecond: 300,
    range: [100, 900],
    errors: 3,
    cpuUsPerUnit: 100,
  })
})

test('proxies are compared within a round, so that a slow round counts no more than another', () => {
  const ours = [round(200), round(4000), round(330)]
  const theirs = [round(100), round(2000), round(110)]
  expect(rateRatioOf(ours, theirs)).toEqual({ median: 2, range: [2, 3] })
})
