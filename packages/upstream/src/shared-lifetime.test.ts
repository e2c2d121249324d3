import { expect, test } from '@jest/globals'
import { sharedLifetime } from './shared-lifetime.ts'

const now = Date.parse('Sun, 29 Nov 2026 12:00:00 GMT')
const forOne = { isPrivate: true, maxFreshMs: 0 }

test.each([
  ['nothing', {}, {}],
  ['public', { 'cache-control': 'public' }, {}],
  ['no-store', { 'cache-control': 'no-store' }, forOne],
  ['Private', { 'cache-control': 'max-age=60, Private' }, forOne],
  ['private with fields', { 'cache-control': 'private="set-cookie, x-a", max-age=60' }, forOne],
  ['no-cache', { 'cache-control': 'no-cache' }, { maxFreshMs: 0 }],
  ['Vary: *', { vary: 'accept, *', 'cache-control': 'max-age=60' }, { maxFreshMs: 0 }],
  ['Vary', { vary: 'accept-encoding' }, {}],
  ['max-age=0', { 'cache-control': 'max-age=0' }, { maxFreshMs: 0 }],
  ['max-age', { 'cache-control': 'public, max-age=60' }, { maxFreshMs: 60_000 }],
  ['a quoted max-age', { 'cache-control': 'max-age="60"' }, { maxFreshMs: 60_000 }],
  ['s-maxage goes before max-age', { 'cache-control': 'max-age=60, s-maxage=5' }, { maxFreshMs: 5000 }],
  ['a max-age that is none', { 'cache-control': 'max-age=soon' }, { maxFreshMs: 0 }],
  ['Expires', { expires: 'Sun, 29 Nov 2026 12:01:00 GMT' }, { maxFreshMs: 60_000 }],
  ['Expires in the form of asctime', { expires: 'Sun Nov 29 12:01:00 2026' }, { maxFreshMs: 60_000 }],
  ['an Expires that is no date of HTTP', { expires: '2026-11-29 12:01:00' }, { maxFreshMs: 0 }],
  [
    'Expires by the clock of the sender',
    { expires: 'Sun, 29 Nov 2026 11:01:00 GMT', date: 'Sun, 29 Nov 2026 11:00:00 GMT' },
    { maxFreshMs: 60_000 },
  ],
  ['an Age, which a cache on the way has added', { 'cache-control': 'max-age=60', age: '58' }, { maxFreshMs: 2000 }],
  ['an Age beyond max-age', { 'cache-control': 'max-age=60', age: '61' }, { maxFreshMs: 0 }],
  ['an Age that is none', { 'cache-control': 'max-age=60', age: '-3' }, { maxFreshMs: 60_000 }],
  ['an Age beside Expires', { expires: 'Sun, 29 Nov 2026 12:01:00 GMT', age: '20' }, { maxFreshMs: 40_000 }],
  ['an Age alone', { age: '20' }, {}],
  ['Expires: 0', { expires: '0' }, { maxFreshMs: 0 }],
  ['max-age goes before Expires', { 'cache-control': 'max-age=5', expires: '0' }, { maxFreshMs: 5000 }],
])('%s', (_what, headers, lifetime) => {
  expect(sharedLifetime(headers, now)).toEqual(lifetime)
})
