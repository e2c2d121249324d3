import { expect, test } from '@jest/globals'
import { readPoolEntry } from './pool-entry.ts'

test.each([
  ['192.0.2.1', '192.0.2.1'],
  ['192.0.2.1/32', '192.0.2.1'],
  ['127.0.0.2', '127.0.0.2'],
  ['2001:DB8:0::5', '2001:db8::5'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['2001:db8::/64', '2001:db8::/64'],
  ['10.1.128.0/17', '10.1.128.0/17'],
])('%s is the entry %s', (text, entry) => {
  expect(readPoolEntry(text)).toEqual([entry])
})

test.each([
  '0.0.0.0',
  '::',
  '0.0.0.0/0',
  '::/0',
  '224.0.0.1',
  'ff02::1',
  '255.255.255.255',
  '192.0.2.5/24',
  '10.1.128.1/17',
  '2001:db8::1/64',
  'fe80::1%eth0',
  '127.1',
  'loopback',
  'private',
  'eth0',
  '*',
])('%s is none', (text) => {
  expect(readPoolEntry(text)).toBeUndefined()
})
