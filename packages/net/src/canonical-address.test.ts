import { expect, test } from '@jest/globals'
import { canonicalAddress } from './canonical-address.ts'

test.each([
  ['8.8.8.8', '8.8.8.8'],
  ['::ffff:8.8.8.8', '8.8.8.8'],
  ['0:0:0:0:0:FFFF:808:808', '8.8.8.8'],
  // IPv4-compatible, which is no IPv4 address (RFC 4291 §2.5.5.1).
  ['::8.8.8.8', '::808:808'],
  ['::808:808', '::808:808'],
  ['2001:DB8:0:0::0001', '2001:db8::1'],
])('%s is %s', (text, canonical) => {
  expect(canonicalAddress(text)).toBe(canonical)
})

test.each(['0177.0.0.1', '127.1', '1.1.1.1.', ' 1.1.1.1', '[::1]', 'fe80::1%eth0', '１.1.1.1', '', '1.1.1.1:80'])(
  '"%s" is no address',
  (text) => {
    expect(canonicalAddress(text)).toBeUndefined()
  },
)
