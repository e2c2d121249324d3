import { describe, expect, test } from '@jest/globals'
import { readTargetItem, TargetList } from './target-list.ts'

test.each([
  ['Example.COM.', ['example.com']],
  ['*.Example.com', ['*.example.com']],
  ['.example.com', ['.example.com']],
  ['localhost', ['localhost']],
  ['192.0.2.1', ['192.0.2.1/32']],
  ['10.0.0.0/8', ['10.0.0.0/8']],
  ['FD00::/8', ['fd00::/8']],
  ['::ffff:10.0.0.0/104', ['10.0.0.0/8']],
  ['loopback', ['127.0.0.0/8', '::1/128']],
])('the item %s is read as %j', (text, items) => {
  expect(readTargetItem(text)).toEqual(items)
})

test.each([
  '*',
  '*.',
  '.',
  'a.*.com',
  '**.com',
  'http://a',
  'a:443',
  'a/b',
  '10.0.0.0/33',
  '127.1',
  '*.127.0.0.1',
  'ü.de',
])('the item %s is none', (text) => {
  expect(readTargetItem(text)).toBeUndefined()
})

describe('a list', () => {
  const list = new TargetList(['one.test', '*.below.test', '.all.test', '10.0.0.0/8', '2001:db8::/32'])

  test.each(['one.test', 'a.below.test', 'a.b.below.test', 'all.test', 'a.all.test'])('has the name %s', (name) => {
    expect(list.hasName(name)).toBe(true)
  })

  test.each(['a.one.test', 'below.test', 'xbelow.test', 'xall.test', 'test', 'one.test.example', ''])(
    'has not the name %j',
    (name) => {
      expect(list.hasName(name)).toBe(false)
    },
  )

  test('has the addresses in its blocks', () => {
    const addresses = ['10.255.0.1', '11.0.0.1', '2001:db8::1', '2001:db9::1']
    expect(addresses.map((address) => list.hasAddress(address))).toEqual([true, false, true, false])
  })
})

test('an empty list has nothing', () => {
  const list = new TargetList([])
  expect([list.hasName('a'), list.hasAddress('127.0.0.1')]).toEqual([false, false])
})
