import { describe, expect, test } from '@jest/globals'
import { addressKind, carriedAddresses } from './address-kind.ts'

test.each([
  '1.1.1.1',
  '8.8.8.8',
  '9.255.255.255',
  '11.0.0.0',
  '100.63.255.255',
  '100.128.0.0',
  '126.255.255.255',
  '128.0.0.0',
  '169.253.255.255',
  '169.255.0.0',
  '172.15.255.255',
  '172.32.0.0',
  '191.255.255.255',
  '192.0.1.0',
  '192.0.3.0',
  '192.167.255.255',
  '192.169.0.0',
  '198.17.255.255',
  '198.20.0.0',
  '223.255.255.255',
  '2001:200::1',
  '2001:4860:4860::8888',
  '2606:4700:4700::1111',
  '::ffff:8.8.8.8',
])('%s is public', (address) => {
  expect(addressKind(address)).toBe('public')
})

test.each([
  ['0.0.0.0', 'unspecified'],
  ['0.1.2.3', 'unspecified'],
  ['10.0.0.1', 'private'],
  ['100.64.0.1', 'shared'],
  ['100.100.100.200', 'shared'],
  ['127.0.0.1', 'loopback'],
  ['127.255.255.254', 'loopback'],
  ['168.63.129.16', 'metadata'],
  ['169.254.169.254', 'link-local'],
  ['172.16.0.1', 'private'],
  ['172.31.255.255', 'private'],
  ['192.0.0.192', 'protocol'],
  ['192.0.2.1', 'documentation'],
  ['192.88.99.1', 'reserved'],
  ['192.168.1.1', 'private'],
  ['198.18.0.1', 'benchmarking'],
  ['198.19.255.255', 'benchmarking'],
  ['198.51.100.1', 'documentation'],
  ['203.0.113.1', 'documentation'],
  ['224.0.0.1', 'multicast'],
  ['239.255.255.255', 'multicast'],
  ['240.0.0.1', 'reserved'],
  ['255.255.255.255', 'broadcast'],
  ['::', 'unspecified'],
  ['::1', 'loopback'],
  ['::127.0.0.1', 'ipv4-compatible'],
  ['::8.8.8.8', 'ipv4-compatible'],
  ['::ffff:127.0.0.1', 'loopback'],
  ['::ffff:a00:1', 'private'],
  ['::ffff:0:127.0.0.1', 'reserved'],
  ['64:ff9b:1::1', 'local-nat64'],
  ['100::1', 'discard'],
  ['2001:2::1', 'benchmarking'],
  ['2001:10::1', 'protocol'],
  ['2001:20::1', 'protocol'],
  ['2001:db8::1', 'documentation'],
  ['3fff::1', 'documentation'],
  ['4000::1', 'reserved'],
  ['5f00::1', 'reserved'],
  ['fc00::1', 'private'],
  ['fd00:ec2::254', 'private'],
  ['fe80::1', 'link-local'],
  ['fec0::1', 'site-local'],
  ['ff02::1', 'multicast'],
])('%s is %s', (address, kind) => {
  expect(addressKind(address)).toBe(kind)
})

describe('an address that carries an IPv4 address is what that one is:', () => {
  test.each([
    ['NAT64', '64:ff9b::7f00:1', 'loopback'],
    ['NAT64', '64:ff9b::a9fe:a9fe', 'link-local'],
    ['NAT64', '64:ff9b::8.8.8.8', 'public'],
    ['6to4', '2002:7f00:1::', 'loopback'],
    ['6to4', '2002:c0a8:101::1', 'private'],
    ['6to4', '2002:808:808::1', 'public'],
    // The client's address has every bit turned: f5ff:fffe is 10.0.0.1, f7f7:f7f7 is 8.8.8.8.
    ['Teredo, the client', '2001:0:808:808:0:0:f5ff:fffe', 'private'],
    ['Teredo, the server', '2001:0:a00:1:0:0:f7f7:f7f7', 'private'],
    ['Teredo', '2001:0:808:808:0:0:f7f7:f7f7', 'public'],
    ['Teredo of nobody', '2001::', 'unspecified'],
    ['ISATAP', '2606:4700::5efe:a00:1', 'private'],
    ['ISATAP', '2606:4700::200:5efe:a00:1', 'private'],
    ['ISATAP in 6to4', '2002:808:808::5efe:7f00:1', 'loopback'],
    ['ISATAP', '2606:4700::200:5efe:808:808', 'public'],
  ])('%s %s: %s', (_, address, kind) => {
    expect(addressKind(address)).toBe(kind)
  })
})

test.each(['fe80::1%eth0', '2606:4700::1%1', '', 'example.com', '127.1', '0177.0.0.1', '[::1]', '1.1.1.1/32'])(
  '%j cannot be read, and so is not public',
  (text) => {
    expect(addressKind(text)).toBe('reserved')
  },
)

test('an address that carries none has none', () => {
  expect(['8.8.8.8', '2606:4700::1'].flatMap(carriedAddresses)).toEqual([])
})
