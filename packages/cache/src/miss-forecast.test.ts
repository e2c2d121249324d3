import { expect, test } from '@jest/globals'
import { MissForecast } from './miss-forecast.ts'

/** 1: a miss. */
function after(...looks: readonly (0 | 1)[]): boolean {
  const forecast = new MissForecast()
  for (const look of looks) forecast.note(look === 1)
  return forecast.isMiss
}

const times = (count: number, ...looks: (0 | 1)[]): (0 | 1)[] => Array.from({ length: count }, () => looks).flat()

test.each([
  ['nothing', [], false],
  ['a few misses', times(8, 1), false],
  ['many misses', times(16, 1), true],
  ['many misses and one hit', [...times(32, 1), 0], true],
  ['many misses and some hits', [...times(32, 1), ...times(3, 0)], false],
  ['hits', times(32, 0), false],
  ['as many hits', times(32, 1, 0), false],
] as const)('after %s', (_what, looks, isMiss) => {
  expect(after(...looks)).toBe(isMiss)
})
