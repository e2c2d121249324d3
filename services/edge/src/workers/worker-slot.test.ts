import { expect, test } from '@jest/globals'
import { RestartBackoff } from './worker-slot.ts'

const waitsAfter = (...livedMs: readonly number[]): number[] => {
  const backoff = new RestartBackoff()
  return livedMs.map((each) => backoff.afterMs(each))
}

test('a worker that had lived for long is replaced at once, however often', () => {
  expect(waitsAfter(60_000, 60_000, 5000)).toEqual([0, 0, 0])
})

test('one that died young is replaced at once too, the next ones after waits that double up to five seconds', () => {
  expect(waitsAfter(...Array<number>(9).fill(300))).toEqual([0, 100, 200, 400, 800, 1600, 3200, 5000, 5000])
})

test('one that got over its start makes the waits short again', () => {
  expect(waitsAfter(10, 10, 10, 6000, 10, 10)).toEqual([0, 100, 200, 0, 0, 100])
})
