import { expect, test } from '@jest/globals'
import { zipfPaths } from './zipf-paths.ts'

const traffic = { requests: 20_000, popular: 100, oneOffShare: 0.1, exponent: 1 }

test('the same traffic is the same each time', () => {
  expect(zipfPaths(traffic)).toEqual(zipfPaths(traffic))
})

test('the first rank is asked for as often as the distribution says, and the second half as often', () => {
  const paths = zipfPaths(traffic)
  const shareOf = (path: string): number => paths.filter((each) => each === path).length / paths.length
  // 1 / (1 + 1/2 + … + 1/100), of the nine tenths that are not asked for once.
  const first = 0.9 / 5.187
  expect(shareOf('/20.0.0.0')).toBeCloseTo(first, 2)
  expect(shareOf('/20.0.0.1')).toBeCloseTo(first / 2, 2)
})

test('one-offs are never asked for again', () => {
  const once = zipfPaths(traffic).filter((path) => path.startsWith('/30.'))
  expect(once.length / traffic.requests).toBeCloseTo(traffic.oneOffShare, 2)
  expect(new Set(once).size).toBe(once.length)
})
