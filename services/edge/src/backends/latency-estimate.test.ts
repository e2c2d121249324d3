import { expect, test } from '@jest/globals'
import { LatencyEstimate } from './latency-estimate.ts'

let nowMs = 0
const estimate = (...samples: readonly (readonly [count: number, durationMs: number])[]): LatencyEstimate => {
  nowMs = 0
  const latency = new LatencyEstimate({ nowMs: () => nowMs })
  for (const [count, durationMs] of samples) for (let turn = 0; turn < count; turn += 1) latency.add(durationMs)
  return latency
}

test.each([
  ['nothing is known', [], 1000, 1000],
  ['too little is known', [[49, 2]], 1000, 1000],
  ['answers are quick: the least', [[1000, 2]], 250, 250],
  [
    'one in two hundred is slow: it does not count',
    [
      [995, 2],
      [5, 4000],
    ],
    250,
    250,
  ],
  [
    'one in fifty is slow: three times that',
    [
      [980, 2],
      [20, 300],
    ],
    900,
    1100,
  ],
  ['all are slow: the most', [[1000, 8000]], 5000, 5000],
] as const)('%s', (_what, samples, least, most) => {
  const waitMs = estimate(...samples).hedgeAfterMs()
  expect(waitMs).toBeGreaterThanOrEqual(least)
  expect(waitMs).toBeLessThanOrEqual(most)
})

test('what was slow once is forgotten', () => {
  const latency = estimate([1000, 1000])
  expect(latency.hedgeAfterMs()).toBeGreaterThan(2900)
  nowMs = 100_000
  for (let turn = 0; turn < 500; turn += 1) latency.add(2)
  expect(latency.hedgeAfterMs()).toBe(250)
})
