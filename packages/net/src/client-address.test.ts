import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { expect, test } from '@jest/globals'
import { parseCidr } from './cidr.ts'
import { clientAddress, forwardedHop } from './client-address.ts'

/** A request as it comes from a peer; real sockets have loopback peers only. */
function from(peer: string | undefined, forwarded?: string): IncomingMessage {
  const socket = new Socket()
  Object.defineProperty(socket, 'remoteAddress', { value: peer })
  const req = new IncomingMessage(socket)
  if (forwarded !== undefined) req.headers['x-forwarded-for'] = forwarded
  return req
}

const direct = clientAddress({ trusted: [] })
const behind = clientAddress({ trusted: ['10.0.0.0/8', '2001:db8:1::/48'] })

test.each([
  ['192.0.2.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['2001:db8::1', '2001:db8::1'],
  ['fe80::1%eth0', 'fe80::1'],
  [undefined, ''],
])('without trusted proxies the client is the peer: %s', (peer, client) => {
  expect(direct(from(peer, '203.0.113.9'))).toBe(client)
})

test.each([
  ['an untrusted peer is not believed', '192.0.2.1', '203.0.113.9', '192.0.2.1'],
  ['a trusted peer is', '10.0.0.1', '203.0.113.9', '203.0.113.9'],
  ['a trusted peer on a dual-stack listener is', '::ffff:10.0.0.1', '203.0.113.9', '203.0.113.9'],
  ['trusted hops are skipped from the right', '10.0.0.1', '203.0.113.9, 10.1.1.1 ,2001:db8:1::5', '203.0.113.9'],
  ['what a client invented to the left is ignored', '10.0.0.1', '1.1.1.1, 203.0.113.9', '203.0.113.9'],
  ['an IPv4-mapped hop is IPv4', '10.0.0.1', '::ffff:203.0.113.9', '203.0.113.9'],
  ['a hop in hexadecimal IPv4-mapped spelling is IPv4', '10.0.0.1', '::ffff:cb00:7109', '203.0.113.9'],
  ['an IPv6 hop gets its canonical spelling', '10.0.0.1', '2001:DB8:0:0::0001', '2001:db8::1'],
  ['with trusted hops only the first one is the client', '10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
  ['no field leaves the peer', '10.0.0.1', undefined, '10.0.0.1'],
  ['a port is left out', '10.0.0.1', '9.9.9.9:51413', '9.9.9.9'],
  ['so are brackets', '10.0.0.1', '1.1.1.1, [2001:db8::1]:443', '2001:db8::1'],
  ['so are quotes', '10.0.0.1', '"[2001:db8::1]:443"', '2001:db8::1'],
  ['a trusted hop may have a port, too', '10.0.0.1', '9.9.9.9:1, 10.0.0.2:2,"[2001:db8:1::5]:3"', '9.9.9.9'],
  ['an empty field is nobody', '10.0.0.1', '', ''],
  ['unknown is nobody, and not the proxy', '10.0.0.1', '1.1.1.1, unknown', ''],
  ['garbage further off is nobody', '10.0.0.1', '1.1.1.1, x, 10.0.0.2', ''],
  ['an empty hop is nobody', '10.0.0.1', '1.1.1.1,,10.0.0.2', ''],
  ['an octal hop is nobody', '10.0.0.1', '0177.0.0.1', ''],
  ['a comma in quotes is nobody', '10.0.0.1', '"9.9.9.9, 10.0.0.2"', ''],
  ['garbage behind an untrusted hop is not looked at', '10.0.0.1', 'x, 9.9.9.9', '9.9.9.9'],
  ['garbage from an untrusted peer is not looked at', '192.0.2.1', 'x', '192.0.2.1'],
])('%s', (_promise, peer, forwarded, client) => {
  expect(behind(from(peer, forwarded))).toBe(client)
})

test('each request of a connection has its own client', () => {
  const req = from('10.0.0.1', '203.0.113.9')
  const next = new IncomingMessage(req.socket)
  next.headers['x-forwarded-for'] = '203.0.113.10'
  expect([behind(req), behind(next)]).toEqual(['203.0.113.9', '203.0.113.10'])
})

test.each([
  ['10.0.0.0/8', 'ipv4', 8],
  ['192.0.2.1', 'ipv4', 32],
  ['fd00::/8', 'ipv6', 8],
  ['::1', 'ipv6', 128],
  ['::ffff:10.0.0.0/104', 'ipv4', 8],
  ['0.0.0.0/0', 'ipv4', 0],
])('%s is a block', (text, kind, bits) => {
  const block = parseCidr(text)
  expect([block?.network.kind(), block?.bits]).toEqual([kind, bits])
})

test.each([
  '',
  '10.0.0.0/33',
  '10.0.0.0/',
  '10.0.0.0/08',
  '10.0.0.0/-1',
  '10.0.0.0/8/8',
  '10/8',
  '012.0.0.0/8',
  '0x0a000000/8',
  '::/129',
  '::ffff:10.0.0.0/95',
  'fe80::%eth0/10',
  'loopback',
  ' 10.0.0.0/8',
  '１0.0.0.0/8',
])('%j is no block', (text) => {
  expect(parseCidr(text)).toBeUndefined()
})

test('a malformed block is refused when the function is made', () => {
  expect(() => clientAddress({ trusted: ['10.0.0.0/33'] })).toThrow(RangeError)
})

test.each([
  ['9.9.9.9', '9.9.9.9'],
  [' 9.9.9.9\t', '9.9.9.9'],
  ['9.9.9.9:51413', '9.9.9.9'],
  ['9.9.9.9:_hidden', '9.9.9.9'],
  ['"9.9.9.9"', '9.9.9.9'],
  ['"9.9.9.9:80"', '9.9.9.9'],
  ['2001:DB8::1', '2001:db8::1'],
  ['[2001:db8::1]', '2001:db8::1'],
  ['[2001:db8::1]:443', '2001:db8::1'],
  ['"[2001:db8::1]:443"', '2001:db8::1'],
  ['::ffff:9.9.9.9', '9.9.9.9'],
  ['[::ffff:9.9.9.9]:80', '9.9.9.9'],
  ['fe80::1%eth0', 'fe80::1'],
  ['[fe80::1%25eth0]:80', 'fe80::1'],
  ['::9.9.9.9', '::909:909'],
])('%s is %s', (text, address) => {
  expect(forwardedHop(text)).toBe(address)
})

test.each([
  '',
  ' ',
  'unknown',
  '"unknown"',
  '_hidden',
  '_hidden:80',
  'localhost',
  'example.org:80',
  'for=9.9.9.9',
  '9.9.9.9:',
  '9.9.9.9:x',
  '9.9.9.9:123456',
  '9.9.9.9:80:80',
  '9.9.9',
  '0177.0.0.1',
  '0x7f.1:80',
  '2130706433',
  '[9.9.9.9]',
  '[9.9.9.9]:80',
  '[2001:db8::1',
  '2001:db8::1]',
  '[2001:db8::1]80',
  '[2001:db8::1]:',
  '[]',
  '[::g]',
  '"9.9.9.9',
  '9.9.9.9"',
  "'9.9.9.9'",
  '9.9.9.9/24',
  '9.9.9.9%eth0',
  '9.9.9.9 8.8.8.8',
  '１.1.1.1',
  '\u0000',
])('%j is no address', (text) => {
  expect(forwardedHop(text)).toBeUndefined()
})
