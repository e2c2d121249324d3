import { expect, test } from '@jest/globals'
import { countKeys, type Stats, sumStats } from './stats.ts'

const stats = (factor: number): Stats => ({
  requests_total: factor,
  requests_proxied: 2 * factor,
  requests_cached: 3 * factor,
  upstream_errors: 4 * factor,
  keys_exhausted: 5 * factor,
  cache: { hits: 6 * factor, misses: 7 * factor, size: 8 * factor, evictions: 9 * factor },
  keys: { total: 3, active: 2, cooling: 1 },
})

test('a fleet’s counters are the sums of its replicas’; its keys are counted once', () => {
  expect(sumStats(stats(1), [stats(10), stats(100)])).toEqual({ ...stats(111), replicas: 3 })
})

test('a fleet of one is itself', () => {
  expect(sumStats(stats(7), [])).toEqual({ ...stats(7), replicas: 1 })
})

test('a key on trial counts as active', () => {
  const states = [
    { id: 'a', state: 'active' },
    { id: 'b', state: 'cooling', reason: 'limited', remainingMs: 5 },
    { id: 'c', state: 'trial', reason: 'limited' },
  ] as const
  expect(countKeys(states)).toEqual({ total: 3, active: 2, cooling: 1 })
})
