import { expect, test } from '@jest/globals'
import { ratioOf, type Round, seriesOf } from './series.ts'

const round = (cpuUs: number, requests = 10, errors = 0): Round => ({ requests, errors, cpuUs, p99Us: cpuUs })

test('a series adds up what is counted and takes the middle of what is measured', () => {
  expect(seriesOf('edge', [round(100, 10, 1), round(900, 10, 2), round(300, 30)])).toEqual({
    server: 'edge',
    requests: 50,
    errors: 3,
    cpuUsPerRequest: 10,
    range: [10, 90],
    p99Us: 300,
  })
})

test('servers are compared within a round, so that a slow round counts no more than another', () => {
  const ours = [round(200), round(4000), round(330)]
  const theirs = [round(100), round(2000), round(110)]
  expect(ratioOf(ours, theirs)).toEqual({ median: 2, range: [2, 3] })
})

test('a server that was not run makes the ratio NaN', () => {
  expect(ratioOf([round(200)], []).median).toBeNaN()
})
