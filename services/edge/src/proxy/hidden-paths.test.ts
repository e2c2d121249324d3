import { expect, test } from '@jest/globals'
import { HiddenPaths } from './hidden-paths.ts'

const hidden = new HiddenPaths(['/metrics', '/stats', '/cache', '/admin/keys', '/_internal', '/über'])

test.each([
  '/stats',
  '/stats/',
  '/stats/more/below',
  '/stats?x=1',
  '/STATS',
  '/Stats/',
  '/admin/keys',
  '/ADMIN/keys/7',
  '/_internal',
  // Encoded, once and twice.
  '/%73tats',
  '/%53TATS',
  '/st%61ts?x',
  '/%2573tats',
  '/%25%37%33tats',
  '/%%373tats',
  '/stats%2f',
  '/stats%2Fx',
  '/%2fstats',
  '/stats%3Fx',
  '/stats%23x',
  '/stats%00',
  '/stats%00.html',
  '/stats%20',
  '/%20stats',
  '/stats%0d%0a',
  '/%C3%BCber',
  '/%C3%9CBER',
  // Slashes, also those that are none everywhere.
  '//stats',
  '///stats',
  '/admin//keys',
  '\\stats',
  '/\\stats',
  '/admin\\keys',
  '/%5cstats',
  '/admin%5Ckeys',
  '/8.8.8.8%2f..%2fstats',
  '/x%c0%afstats',
  // Dot segments.
  '/./stats',
  '/x/../stats',
  '/../stats',
  '/x/%2e%2e/stats',
  '/x/%252e%252e/stats',
  '/x/.%2e/stats',
  '/admin/x/../keys',
  '/admin/./keys',
  '/x/..;/stats',
  '/stats/..;/stats',
  // Parameters and fragments.
  '/stats;v=1',
  '/stats;',
  '/;x/stats',
  '/admin;a=b/keys;c',
  '/stats%3bx',
  '/stats#x',
  '/x#/../stats',
  '/stats#?',
  // Letters that fold to others.
  '/%C5%BFtats',
  '/%EF%BD%93tats',
  // Not a path at all.
  'http://host/stats',
  'stats',
])('%s is hidden', (target) => {
  expect(hidden.isHidden(target)).toBe(true)
})

test.each([
  '/',
  '',
  '/?stats',
  '/8.8.8.8',
  '/8.8.8.8/json',
  '/8.8.8.8?x=/stats',
  '/8.8.8.8?x=%2fstats//;',
  '/2001:db8::1/city',
  '/lite/8.8.8.8',
  '/statistics',
  '/stat',
  '/stats.json',
  '/stats-old',
  '/admin',
  '/admin/keyring',
  '/8.8.8.8/stats',
  '/AS15169',
  '/.well-known/security.txt',
  '/a%20b',
  '/a%ZZb',
  '/caf%C3%A9/%E9',
  '/a;b/c',
  '*',
])('%s is not', (target) => {
  expect(hidden.isHidden(target)).toBe(false)
})

test('odd spellings of other paths may be refused: a hidden name in them is enough', () => {
  expect(hidden.isHidden('/a%20b/stats')).toBe(true)
})

test('nothing is hidden when nothing is configured, and all below / when that is', () => {
  expect(new HiddenPaths([]).isHidden('/%73tats')).toBe(false)
  expect(new HiddenPaths(['/']).isHidden('/8.8.8.8')).toBe(true)
})
