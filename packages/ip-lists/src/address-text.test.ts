import { expect, test } from '@jest/globals'
import { addressesIn, addressesOfNetwork, firstOfNetwork, loneAddress } from './address-text.ts'

test.each([
  ['8.8.8.8', '8.8.8.8'],
  [' 8.8.8.8 ', '8.8.8.8'],
  ['"8.8.8.8"', '8.8.8.8'],
  ['8.8.8.8:443', '8.8.8.8'],
  ['[2001:db8::1]:443', '2001:db8::1'],
  ['[2001:DB8:0::1]', '2001:db8::1'],
  ['fe80::1%eth0', 'fe80::1'],
  ['8[.]8[.]8[.]8', '8.8.8.8'],
  ['8(.)8(.)8(.)8', '8.8.8.8'],
  ['8[dot]8[dot]8[dot]8', '8.8.8.8'],
  ['2001[:]db8[:][:]1', '2001:db8::1'],
  ['2620[:]fe[::]fe', '2620:fe::fe'],
  ['8 [.] 8 [.] 8 [.] 8', '8.8.8.8'],
  ['8.8.8.8 # Google', '8.8.8.8'],
  ['8.8.8.8 ; SBL1', '8.8.8.8'],
  ['https://8.8.8.8/path?x', '8.8.8.8'],
  ['hxxp://8[.]8[.]8[.]8', '8.8.8.8'],
  ['ssh://root@[2620:fe::fe]:22', '2620:fe::fe'],
  ['８.８.８.８', '8.8.8.8'],
  ['8。8。8。8', '8.8.8.8'],
  ['https://8.8.8.8.example.com/', undefined],
  ['::ffff:8.8.8.8', '8.8.8.8'],
  ['8.8.8', undefined],
  ['8.8.8.8, 10.0.0.1', undefined],
  ['example.com', undefined],
  ['# 8.8.8.8', undefined],
  ['', undefined],
])('%j is the address %s', (text, address) => {
  expect(loneAddress(text)).toBe(address)
})

test.each([
  ['8.8.8.8, 10.0.0.1', ['8.8.8.8', '10.0.0.1']],
  ['9.9.9.9 - - [10/Oct/2025:13:55:36 +0000] "GET / HTTP/1.1" 200 2326', ['9.9.9.9']],
  ['2025-10-10T13:55:36.1Z app/lb 9.9.9.9:2817 10.0.0.1:80 0.001', ['9.9.9.9', '10.0.0.1']],
  ['2025-10-10 13:55:36,1 fail2ban.actions: NOTICE [sshd] Ban 2001:db8::7', ['2001:db8::7']],
  ['for="[2001:db8::17]:4711", for=192.0.2.60;proto=http', ['2001:db8::17', '192.0.2.60']],
  ['http://9.9.9.9/x and hxxp://8[.]8[.]4[.]4/', ['9.9.9.9', '8.8.4.4']],
  ['from 9.9.9.9. And 2001:db8::1: yes', ['9.9.9.9', '2001:db8::1']],
  ['"Mozilla/5.0 (X11) Chrome/120.0.0.0 Safari/537.36 Edg/120.0.0.0" 9.9.9.9', ['9.9.9.9']],
  ['Mozilla/5.0+(X)+Chrome/99.0.0.0+Safari 9.9.9.9', ['9.9.9.9']],
  ['TCP_MISS/200 GET http://example.com/ HIER_DIRECT/9.9.9.9 text/html', ['9.9.9.9']],
  ['MAC=00:11:22:33:44:55:66:77:88:99:aa:bb:08:00 SRC=9.9.9.9 DST=10.0.0.1', ['9.9.9.9', '10.0.0.1']],
  ['eui 00:11:22:33:44:55:66:77, mac 00:11:22:33:44:55', []],
  ['haproxy[1]: 2620:fe::fe:33317 [06/Feb/2025:12:14:14.655]', ['2620:fe::fe']],
  ['2001:db8:1:2:3:4:5:6, 1:2:3:4:5:6:7:8:9', ['2001:db8:1:2:3:4:5:6']],
  ['dns.google[2620:fe::fe]: ok, (2620:fe::9).', ['2620:fe::fe', '2620:fe::9']],
  ['version 1.2.3.4.5, std::dead, 12:30:45, 999.1.1.1', []],
])('%j holds %j', (text, addresses) => {
  expect(addressesIn(text)).toEqual(addresses)
})

test.each([
  ['9.0.0.5/30', ['9.0.0.4', '9.0.0.5', '9.0.0.6', '9.0.0.7']],
  ['2001:db8::/127', ['2001:db8::', '2001:db8::1']],
  ['9.0.0.254-9.0.1.1', ['9.0.0.254', '9.0.0.255', '9.0.1.0', '9.0.1.1']],
  ['9.0.0.1 - 9.0.0.2', ['9.0.0.1', '9.0.0.2']],
  ['9.0.0.1-3', ['9.0.0.1', '9.0.0.2', '9.0.0.3']],
  ['9.0.0.5/255.255.255.254', ['9.0.0.4', '9.0.0.5']],
  ['9.0.0.4/30 ; SBL1', ['9.0.0.4', '9.0.0.5', '9.0.0.6', '9.0.0.7']],
  ['9.0.0.2-1', undefined],
  ['9.0.0.0/255.0.255.0', undefined],
  ['9.0.0.0/0.0.0.255', undefined],
  ['9.0.0.2-9.0.0.1', undefined],
  ['9.0.0.0/33', undefined],
  ['9.0.0.1', undefined],
])('the network or range %j has the addresses %j', (text, addresses) => {
  expect(addressesOfNetwork(text)).toEqual(addresses)
  expect(firstOfNetwork(text)).toBe(addresses?.[0])
})

test('a network that is too large is told with its size', () => {
  expect(() => addressesOfNetwork('9.0.0.0/8')).toThrow('9.0.0.0/8 has 16777216 addresses; more than 65536 are not')
  expect(firstOfNetwork('9.0.0.0/8')).toBe('9.0.0.0')
})
