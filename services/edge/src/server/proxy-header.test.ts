import { describe, expect, test } from '@jest/globals'
import { readProxyHeader } from './proxy-header.ts'

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')
const line = (text: string): Buffer => latin1(`PROXY ${text}\r\n`)

const signature = '\r\n\r\n\0\r\nQUIT\n'
/** `length`: what the header says, when it is not that of `payload`. */
function binary(command: number, family: number, payload: Buffer, length = payload.length): Buffer {
  const fixed = Buffer.from([command, family, length >> 8, length & 255])
  return Buffer.concat([latin1(signature), fixed, payload])
}
const ipv4 = Buffer.from([192, 0, 2, 1, 198, 51, 100, 1, 0xdc, 0x04, 0x01, 0xbb])
const ipv6 = Buffer.from(`20010db8${'0'.repeat(23)}120010db8${'0'.repeat(23)}2dc0401bb`, 'hex')
const mapped = Buffer.from(`${'0'.repeat(20)}ffffc0000201${'0'.repeat(20)}ffffc6336401dc0401bb`, 'hex')
/** An unknown TLV of so many bytes. */
const tlv = (length: number): Buffer =>
  Buffer.concat([Buffer.from([0xee, length >> 8, length & 255]), Buffer.alloc(length)])

const v4Peer = { address: '192.0.2.1', port: 56_324 }
const v6Peer = { address: '2001:db8::1', port: 56_324 }

const whole: [name: string, bytes: Buffer, peer: { address: string; port: number } | undefined][] = [
  ['TCP4', line('TCP4 192.0.2.1 198.51.100.1 56324 443'), v4Peer],
  ['TCP6', line('TCP6 2001:DB8:0:0::1 2001:db8::2 56324 443'), v6Peer],
  ['TCP6 with a mapped address', line('TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.1 56324 443'), v4Peer],
  ['the longest line', line(`UNKNOWN ${'f'.repeat(107 - 16)}`), undefined],
  ['UNKNOWN', line('UNKNOWN'), undefined],
  ['UNKNOWN with anything', line('UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535'), undefined],
  ['version 2 over IPv4', binary(0x21, 0x11, ipv4), v4Peer],
  ['version 2 over IPv6', binary(0x21, 0x21, ipv6), v6Peer],
  ['version 2 with a mapped address', binary(0x21, 0x21, mapped), v4Peer],
  ['version 2 with TLVs, as long as may be', binary(0x21, 0x11, Buffer.concat([ipv4, tlv(520 - 12 - 3)])), v4Peer],
  ['LOCAL', binary(0x20, 0x00, Buffer.alloc(0)), undefined],
  ['LOCAL with addresses', binary(0x20, 0x11, ipv4), undefined],
  ['LOCAL of a family that is none', binary(0x20, 0xff, Buffer.alloc(3)), undefined],
  ['PROXY of no family', binary(0x21, 0x00, Buffer.alloc(0)), undefined],
  ['UDP', binary(0x21, 0x12, ipv4), undefined],
  ['UNIX', binary(0x21, 0x31, Buffer.alloc(216)), undefined],
]

describe.each(whole)('%s', (_name, bytes, peer) => {
  test('says whom the connection is from, and where it ends', () => {
    expect(readProxyHeader(Buffer.concat([bytes, latin1('GET / HTTP/1.1\r\n')]))).toEqual({
      kind: 'whole',
      length: bytes.length,
      peer,
    })
  })

  test('is no header before its last byte', () => {
    for (let length = 0; length < bytes.length; length += 1) {
      expect(readProxyHeader(bytes.subarray(0, length))).toEqual({ kind: 'unfinished' })
    }
  })
})

test.each([
  ['a request', latin1('GET / HTTP/1.1\r\n')],
  ['TLS', Buffer.from([0x16, 3, 1])],
  ['lower case', latin1('proxy ')],
  ['no blank', latin1('PROXYTCP4')],
  ['a protocol that is none', line('TCP5 192.0.2.1 198.51.100.1 1 2')],
  ['UNKNOWN with more letters', line('UNKNOWNS')],
  ['an address of the other family', line('TCP4 2001:db8::1 198.51.100.1 1 2')],
  ['an IPv4 address as IPv6', line('TCP6 192.0.2.1 198.51.100.1 1 2')],
  ['a leading zero', line('TCP4 192.0.2.01 198.51.100.1 1 2')],
  ['a number too large', line('TCP4 192.0.2.256 198.51.100.1 1 2')],
  ['a zone', line('TCP6 fe80::1%eth0 2001:db8::2 1 2')],
  ['a name', line('TCP4 localhost 198.51.100.1 1 2')],
  ['a destination that is no address', line('TCP4 192.0.2.1 x 1 2')],
  ['a port too large', line('TCP4 192.0.2.1 198.51.100.1 65536 2')],
  ['a port with zeros', line('TCP4 192.0.2.1 198.51.100.1 1 02')],
  ['no ports', line('TCP4 192.0.2.1 198.51.100.1')],
  ['two blanks', line('TCP4 192.0.2.1  198.51.100.1 1 2')],
  ['a blank at the end', line('TCP4 192.0.2.1 198.51.100.1 1 2 ')],
  ['a line end of LF alone', latin1('PROXY TCP4 192.0.2.1 198.51.100.1 1 2\nGET / HTTP/1.1\r\n')],
  ['a line of 108 bytes', line(`UNKNOWN ${'f'.repeat(108 - 16)}`)],
  ['no line end within 107 bytes', latin1(`PROXY UNKNOWN ${'f'.repeat(93)}`)],
  ['version 1 in binary', binary(0x11, 0x11, ipv4)],
  ['a command that is none', binary(0x22, 0x11, ipv4)],
  ['a family that is none', binary(0x21, 0x41, ipv4)],
  ['a transport that is none', binary(0x21, 0x13, ipv4)],
  ['addresses that are cut', binary(0x21, 0x21, ipv4)],
  ['a header of 537 bytes', binary(0x21, 0x11, Buffer.concat([ipv4, tlv(521 - 12 - 3)]))],
  ['a length over the limit', binary(0x21, 0x11, ipv4, 65_535)],
  ['a signature with one wrong byte', latin1('\r\n\r\n\0\r\nQUIT\r')],
])('%s is no header', (_name, bytes) => {
  expect(readProxyHeader(bytes)).toEqual({ kind: 'malformed' })
})
