import { expect, test } from '@jest/globals'
import { pathKey } from './path-key.ts'

test.each([
  ['/8.8.8.8', ['/8.8.8.8/', '/8.8.8.8/json', '/8.8.8.8?token=x', '/8.8.8.8/city?token=a/1.1.1.1', '/lite/8.8.8.8']],
  ['/2001:db8::1', ['/2001:DB8::1', '/2001:db8::1/geo', '/lookup/2001:db8::1?x']],
  ['/::ffff:8.8.8.8', ['/::FFFF:8.8.8.8/json']],
  ['/AS15169', ['/AS15169?token=x']],
  ['/a/b', ['/a/b?', '/a/b?c/d']],
  ['/', ['/?q=/8.8.8.8']],
])('%s is one key with %j', (target, others) => {
  expect(others.map(pathKey)).toEqual(others.map(() => pathKey(target)))
})

test('what is about different things has different keys', () => {
  const targets = [
    '/',
    '/json',
    '/json/',
    '/8.8.8.8',
    '/8.8.4.4',
    '/8.8.8',
    '/8.8.8.8.8',
    '/AS1',
    '/as1',
    '/a:b',
    '/::1',
  ]
  expect(new Set(targets.map(pathKey)).size).toBe(targets.length)
})

test.each(['', '*', '/', '//', '?'])('takes any text: %j', (target) => {
  expect(Number.isInteger(pathKey(target))).toBe(true)
})
