import { expect, test } from '@jest/globals'
import { addressBlocks } from './address-blocks.ts'

test.each([
  ['10.0.0.0/8', '10.255.0.1', true],
  ['10.0.0.0/8', '11.0.0.1', false],
  ['192.0.2.64/26', '192.0.2.127', true],
  ['192.0.2.64/26', '192.0.2.128', false],
  ['192.0.2.1', '192.0.2.1', true],
  ['192.0.2.1', '192.0.2.2', false],
  ['0.0.0.0/0', '203.0.113.9', true],
  ['128.0.0.0/1', '203.0.113.9', true],
  ['128.0.0.0/1', '127.255.255.255', false],
  ['255.255.255.255', '255.255.255.255', true],
  ['255.255.255.255', '255.255.255.254', false],
  ['2001:db8::/32', '2001:db8:ffff::1', true],
  ['2001:db8::/32', '2001:db9::1', false],
  ['::1', '::1', true],
  ['::1', '::2', false],
  ['fe80::/10', 'fe80::1', true],
  // A block is of one family.
  ['0.0.0.0/0', '2001:db8::1', false],
  ['::/0', '203.0.113.9', false],
  ['::/0', '2001:db8::1', true],
  ['::/64', '0.0.0.1', false],
  // IPv4-mapped addresses are IPv4 by the time they come here, their blocks are as they were written.
  ['::ffff:10.0.0.0/104', '10.1.2.3', true],
  ['::ffff:10.0.0.0/104', '11.1.2.3', false],
])('%s holds %s: %p', (block, address, isInside) => {
  expect(addressBlocks([block])(address)).toBe(isInside)
})

test('one of several blocks is enough', () => {
  const isInside = addressBlocks(['10.0.0.0/8', '2001:db8::/32', '192.0.2.1'])
  expect(['10.1.1.1', '2001:db8::7', '192.0.2.1', '192.0.2.2', '::1'].filter(isInside)).toHaveLength(3)
})

test('no blocks hold nothing', () => {
  expect(['10.0.0.1', '::1', ''].some(addressBlocks([]))).toBe(false)
})

test.each(['', 'localhost', '10.0.0', '0177.0.0.1', '10.0.0.1:80', '[::1]', '10.0.0.1, 10.0.0.2', 'fe80::1%eth0'])(
  'what is no address lies in no block: %j',
  (text) => {
    expect(addressBlocks(['0.0.0.0/0', '::/0'])(text)).toBe(false)
  },
)

test.each(['', 'loopback', '10/8', '10.0.0.0/33', '10.0.0.0/x', '10.0.0.0/-1', '::/129', '/8', '10.0.0.0/1.5'])(
  'what is no block is refused when the test is made: %j',
  (block) => {
    expect(() => addressBlocks([block])).toThrow(RangeError)
  },
)
