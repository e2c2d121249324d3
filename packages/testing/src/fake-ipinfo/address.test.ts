import { expect, test } from '@jest/globals'
import { parseAddress } from './address.ts'

test.each([
  ['8.8.8.8', '8.8.8.8', '8.8.8.0/24'],
  ['2001:4860:4860:0000:0000:0000:0000:8888', '2001:4860:4860::8888', '2001:4860:4860::/48'],
  ['2001:4860:4860::ABCD', '2001:4860:4860::abcd', '2001:4860:4860::/48'],
  ['2a00::1', '2a00::1', '2a00:0:0::/48'],
  ['::ffff:1.1.1.1', '1.1.1.1', '1.1.1.0/24'],
  ['::ffff:101:101', '1.1.1.1', '1.1.1.0/24'],
])('%s is %s', (text, canonical, network) => {
  expect(parseAddress(text)).toEqual({ text: canonical, network, isBogon: false })
})

test.each([
  ['0177.0.0.1', '0x7f.1', '2130706433', '127.1', '01.1.1.1', '１.1.1.1', '[::1]', '1.1.1.1.', '1.1.1.1/24'],
  ['fe80::1%eth0', ' 1.1.1.1', '1.1.1.256', '', ':::', '1.1.1.1:80', 'localhost'],
])('%s and the like are no addresses', (...texts) => {
  for (const text of texts) expect(parseAddress(text)).toBeUndefined()
})

test.each([
  ['0.0.0.0', '10.255.255.255', '100.64.0.1', '127.0.0.1', '169.254.169.254', '172.31.255.255', '192.168.1.1'],
  ['192.0.2.1', '198.19.255.255', '198.51.100.7', '203.0.113.9', '224.0.0.1', '255.255.255.255', '::ffff:10.0.0.1'],
  ['::', '::1', '2001:db8::1', 'fd00::1', 'fe80::1', 'ff02::1', '100::1'],
])('%s and the like are bogons', (...texts) => {
  for (const text of texts) expect(parseAddress(text)?.isBogon).toBe(true)
})

test.each([
  [
    '9.255.255.255',
    '11.0.0.0',
    '100.63.255.255',
    '100.128.0.0',
    '172.15.0.1',
    '172.32.0.0',
    '198.20.0.0',
    '223.255.255.255',
  ],
])('the neighbours of reserved networks, %s and so on, are not', (...texts) => {
  for (const text of texts) expect(parseAddress(text)?.isBogon).toBe(false)
})
