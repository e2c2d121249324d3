import { expect, test } from '@jest/globals'
import { cacheDirectives } from './cache-directives.ts'

test.each([
  [undefined, false, false],
  ['no-cache', true, false],
  ['max-age=0, No-Store', true, false],
  ['only-if-cached', false, true],
  ['Only-If-Cached , max-age=5', false, true],
  ['x-no-cache, only-if-cached-too', false, false],
])('%s', (field, bypass, onlyIfCached) => {
  expect(cacheDirectives(field)).toMatchObject({ bypass, onlyIfCached })
})

const fresh = { ageMs: () => 30_000, freshLeftMs: () => 60_000 }
const stale = { ageMs: () => 90_000, freshLeftMs: () => -10_000 }

test.each([
  ['only-if-cached', true, false],
  ['max-age=30', true, false],
  ['max-age=29', false, false],
  ['max-age="29"', false, false],
  ['min-fresh=59', true, false],
  ['min-fresh=61', false, false],
  ['max-stale', true, true],
  ['max-stale=11', true, true],
  ['max-stale=9', true, false],
  ['max-stale, max-age=60', true, false],
  ['max-age=soon', true, false],
])('%s accepts a fresh answer: %s, a stale one: %s', (field, ofFresh, ofStale) => {
  const { accepts } = cacheDirectives(field)
  expect([accepts(fresh, 0), accepts(stale, 0)]).toEqual([ofFresh, ofStale])
})
