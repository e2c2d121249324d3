import { describe, expect, test } from '@jest/globals'
import { forwardTarget, readAuthority } from './authority.ts'

const longLabel = 'a'.repeat(63)
const longestName = [longLabel, longLabel, longLabel, 'a'.repeat(61)].join('.')

test.each([
  ['example.com:443', 'example.com', 443],
  ['EXAMPLE.Com.:443', 'example.com', 443],
  ['xn--bcher-kva.example:8443', 'xn--bcher-kva.example', 8443],
  ['web_1:80', 'web_1', 80],
  ['-a-.example-.com:443', '-a-.example-.com', 443],
  ['localhost:65535', 'localhost', 65_535],
  [`${longestName}:1`, longestName, 1],
])('%s is a name', (text, host, port) => {
  expect(readAuthority(text)).toEqual({ host, port, isAddress: false })
})

test.each([
  ['192.0.2.1:443', '192.0.2.1'],
  ['192.0.2.1.:443', '192.0.2.1'],
  ['[::1]:443', '::1'],
  ['[2001:DB8:0:0:1:0:0:1]:443', '2001:db8::1:0:0:1'],
  ['[2001:db8:0:0:0:0:2:1]:443', '2001:db8::2:1'],
  ['[::ffff:127.0.0.1]:443', '127.0.0.1'],
  ['[::FFFF:7f00:1]:443', '127.0.0.1'],
  ['[::127.0.0.1]:443', '::7f00:1'],
  ['[64:ff9b::127.0.0.1]:443', '64:ff9b::7f00:1'],
])('%s is the address %s', (text, host) => {
  expect(readAuthority(text)).toEqual({ host, port: 443, isAddress: true })
})

describe('is no authority:', () => {
  test.each([
    ['nothing', ''],
    ['no port', 'example.com'],
    ['an empty port', 'example.com:'],
    ['no host', ':443'],
    ['only a dot for a host', '.:443'],
    ['port 0', 'example.com:0'],
    ['a port over 65535', 'example.com:65536'],
    ['a port of many digits', 'example.com:99999999999999999999'],
    ['a port with zeros in front', 'example.com:0443'],
    ['a port that is no number', 'example.com:$p'],
    ['a signed port', 'example.com:+443'],
    ['a port with a space', 'example.com: 443'],
    ['a port in hexadecimal', 'example.com:0x1bb'],
    ['two ports', 'example.com:443:443'],
    ['something behind', 'example.com:443/'],
    ['a path', 'example.com/:443'],
    ['a query', 'example.com?:443'],
    ['a query behind', 'example.com:443?'],
    ['a fragment', 'example.com#:443'],
    ['user information', 'u:p@example.com:443'],
    ['a user name', 'u@example.com:443'],
    ['a scheme', 'http://example.com:443'],
    ['a bracket that stays open', '[::1:443'],
    ['a bracket that was never opened', '::1]:443'],
    ['something before a bracket', 'x[::1]:443'],
    ['something behind a bracket', '[::1]x:443'],
    ['brackets in brackets', '[[::1]]:443'],
    ['IPv6 without brackets', '::1:443'],
    ['IPv6 with a final dot', '[::1].:443'],
    ['a name in brackets', '[example.com]:443'],
    ['IPv4 in brackets', '[127.0.0.1]:443'],
    ['empty brackets', '[]:443'],
    ['a zone', '[fe80::1%eth0]:443'],
    ['a zone, encoded', '[fe80::1%25eth0]:443'],
    ['an IPvFuture', '[v1.x]:443'],
    ['NUL', 'example.com\0.test:443'],
    ['NUL behind an address', '127.0.0.1\0:443'],
    ['a line end', 'example.com\r\n:443'],
    ['a line end at the end', 'example.com:443\n'],
    ['a label of hyphens alone', '-.example.com:443'],
    ['a space', 'exa mple.com:443'],
    ['a tab in front', '\texample.com:443'],
    ['DEL', 'example\u007f.com:443'],
    ['a percent-encoded host', 'ex%61mple.com:443'],
    ['a percent-encoded dot', '127%2e0.0.1:443'],
    ['a backslash', 'example.com\\:443'],
    ['a wildcard', '*.example.com:443'],
    ['a name that is not ASCII', 'bücher.example:443'],
    ['full-width digits', '１２７.0.0.1:443'],
    ['ideographic full stops', '127。0。0。1:443'],
    ['Arabic digits', '١٢٧.0.0.1:443'],
    ['an empty label', 'example..com:443'],
    ['an empty first label', '.example.com:443'],
    ['two final dots', 'example.com..:443'],
    ['a label of 64', `${longLabel}a.com:443`],
    ['a name of 254', `${longestName}a:443`],
    ['a name of a megabyte', `${'a.'.repeat(500_000)}a:443`],
    ['octal', '0177.0.0.1:443'],
    ['zeros in front', '127.0.0.01:443'],
    ['hexadecimal', '0x7f.0.0.1:443'],
    ['short hexadecimal', '0x7f.1:443'],
    ['hexadecimal at the end', '127.0.0.0x1:443'],
    ['0x alone', '127.0.0.0X:443'],
    ['one number', '2130706433:443'],
    ['one hexadecimal number', '0x7f000001:443'],
    ['one octal number', '017700000001:443'],
    ['two numbers', '127.1:443'],
    ['three numbers', '127.0.1:443'],
    ['two numbers and a final dot', '127.1.:443'],
    ['five numbers', '127.0.0.1.1:443'],
    ['a number over 255', '127.0.0.256:443'],
    ['a name that ends in a number', 'example.1:443'],
  ])('%s', (_, text) => {
    expect(readAuthority(text)).toBeUndefined()
  })
})

test.each([
  ['http://example.com/', 'example.com', 80, '/'],
  ['HTTP://EXAMPLE.COM./A?b=C', 'example.com', 80, '/A?b=C'],
  ['http://example.com', 'example.com', 80, ''],
  ['http://example.com?q', 'example.com', 80, '?q'],
  ['http://example.com:/a', 'example.com', 80, '/a'],
  ['http://example.com:', 'example.com', 80, ''],
  ['http://example.com:8080//a/../b?x=http://y@z/', 'example.com', 8080, '//a/../b?x=http://y@z/'],
  ['http://u:p@example.com/', 'example.com', 80, '/'],
  ['http://u@example.com:81', 'example.com', 81, ''],
  ['http://@example.com?q', 'example.com', 80, '?q'],
  ["http://a.b%40c:!$&'()*+,;=%2f:x@example.com/d@e", 'example.com', 80, '/d@e'],
  ['http://example.org:80@example.com/', 'example.com', 80, '/'],
  ['http://example.com/\xfc?\xfc', 'example.com', 80, '/\xfc?\xfc'],
  ['http://example.com/%00%0d%0a', 'example.com', 80, '/%00%0d%0a'],
])('%s is for %s, port %i: %j', (text, host, port, path) => {
  expect(forwardTarget(text)).toEqual({ target: { host, port, isAddress: false }, path })
})

test('an IPv6 host loses its brackets', () => {
  expect(forwardTarget('http://[2001:DB8::0:1]:81/')).toMatchObject({ target: { host: '2001:db8::1', port: 81 } })
})

describe('is nothing that is forwarded:', () => {
  test.each([
    ['the origin form', '/path'],
    ['the asterisk form', '*'],
    ['an authority', 'example.com:80'],
    ['another scheme', 'https://example.com/'],
    ['another scheme', 'ftp://example.com/'],
    ['another scheme', 'ws://example.com/'],
    ['another scheme', 'file:///etc/passwd'],
    ['no scheme', '//example.com/'],
    ['one slash', 'http:/example.com/'],
    ['no slashes', 'http:example.com/'],
    ['three slashes', 'http:///example.com/'],
    ['backslashes', 'http:\\\\example.com\\'],
    ['no host', 'http:///'],
    ['no host, only a port', 'http://:80/'],
    ['user information with an at sign', 'http://u:p@x@example.com/'],
    ['user information with a bracket', 'http://[::1]@example.com/'],
    ['user information with half an escape', 'http://u%4@example.com/'],
    ['user information and no host', 'http://u:p@/'],
    ['a backslash before user information', 'http://example.com\\@example.org/'],
    ['a fragment', 'http://example.com/#a'],
    ['a fragment behind the host', 'http://example.com#a'],
    ['a fragment behind a query', 'http://example.com/?a#b'],
    ['port 0', 'http://example.com:0/'],
    ['a port over 65535', 'http://example.com:65536/'],
    ['a port that is no number', 'http://example.com:a/'],
    ['NUL', 'http://example.com\0/'],
    ['NUL in the path', 'http://example.com/\0'],
    ['a line end', 'http://example.com/\r\nX: y'],
    ['a line end at the end', 'http://example.com/\n'],
    ['a space', 'http://example.com/a b'],
    ['a path beyond Latin-1', 'http://example.com/Ā'],
    ['a space in front', ' http://example.com/'],
    ['a percent-encoded host', 'http://%65xample.com/'],
    ['an encoded slash in the host', 'http://example.com%2f.example.org/'],
    ['an over-long label', `http://${'a'.repeat(64)}.com/`],
    ['a number', 'http://2130706433/'],
    ['octal', 'http://0177.0.0.1/'],
    ['a zone', 'http://[fe80::1%25eth0]/'],
    ['an open bracket', 'http://[::1/'],
    ['IPv6 without brackets', 'http://::1/'],
  ])('%s: %j', (_, text) => {
    expect(forwardTarget(text)).toBeUndefined()
  })
})
