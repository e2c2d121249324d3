import { describe, expect, test } from '@jest/globals'
import { readAbsoluteForm } from './absolute-form.ts'

test.each([
  ['http://example.com/', 'example.com', 80, '/'],
  ['HTTP://EXAMPLE.COM./A?b=C', 'example.com', 80, '/A?b=C'],
  ['http://example.com', 'example.com', 80, ''],
  ['http://example.com?q', 'example.com', 80, '?q'],
  ['http://example.com:8080//a/../b?x=http://y@z/', 'example.com', 8080, '//a/../b?x=http://y@z/'],
  ['http://example.com/%00%0d%0a', 'example.com', 80, '/%00%0d%0a'],
])('%s is for %s, port %i: %j', (text, host, port, path) => {
  expect(readAbsoluteForm(text)).toEqual({ target: { host, port, isAddress: false }, path })
})

test('an IPv6 host loses its brackets', () => {
  expect(readAbsoluteForm('http://[2001:DB8::0:1]:81/')).toMatchObject({ target: { host: '2001:db8::1', port: 81 } })
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
    ['user information', 'http://u:p@example.com/'],
    ['a user name', 'http://u@example.com/'],
    ['empty user information', 'http://@example.com/'],
    ['a backslash before user information', 'http://example.com\\@example.org/'],
    ['a fragment', 'http://example.com/#a'],
    ['a fragment behind the host', 'http://example.com#a'],
    ['a fragment behind a query', 'http://example.com/?a#b'],
    ['an empty port', 'http://example.com:/'],
    ['port 0', 'http://example.com:0/'],
    ['a port over 65535', 'http://example.com:65536/'],
    ['a port that is no number', 'http://example.com:a/'],
    ['NUL', 'http://example.com\0/'],
    ['NUL in the path', 'http://example.com/\0'],
    ['a line end', 'http://example.com/\r\nX: y'],
    ['a line end at the end', 'http://example.com/\n'],
    ['a space', 'http://example.com/a b'],
    ['a path that is not ASCII', 'http://example.com/ü'],
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
    expect(readAbsoluteForm(text)).toBeUndefined()
  })
})
