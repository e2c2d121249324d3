import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { expect, test } from '@jest/globals'
import { h2Guard } from './h2-guard.ts'

const guard = h2Guard({ maxTargetLength: 100 })

/** A request as Node makes it of HTTP/2: pseudo-fields stand among the raw fields. */
function asked(changes: { method?: string; url?: string; rawHeaders?: string[] } = {}): IncomingMessage {
  const usual = {
    method: 'GET',
    url: '/8.8.8.8?x=%20',
    rawHeaders: [':authority', 'fleet.example:443', 'accept', '*/*'],
  }
  return Object.assign(new IncomingMessage(new Socket()), usual, changes)
}

test.each<[string, Parameters<typeof asked>[0]]>([
  ['an ordinary request', {}],
  ['an own method', { method: 'PURGE-ALL' }],
  ['a target of every character that may stand in one', { url: '/!$&\'()*+,-./:;=?@[]^_`{|}~"<>\\%' }],
  ['a target as long as it may be', { url: `/${'x'.repeat(99)}` }],
  ['an asterisk in OPTIONS', { method: 'OPTIONS', url: '*' }],
  ['an IPv6 authority', { rawHeaders: [':authority', '[2001:db8::1]:8443'] }],
  ['Host in the place of an authority', { rawHeaders: ['host', 'a'] }],
  ['an authority and the same Host', { rawHeaders: [':authority', 'a', 'host', 'a'] }],
  ['8-bit characters in the target', { url: '/caf\xc3\xa9?q=\xff' }],
  ['8-bit characters in a value', { rawHeaders: [':authority', 'a', 'x', 'caf\xe9 \t'] }],
])('%s is let by', (_what, changes) => {
  expect(guard(asked(changes))).toBeUndefined()
})

test.each<[string, ReturnType<typeof guard>, Parameters<typeof asked>[0]]>([
  ['a target over the limit', 'uri_too_long', { url: `/${'x'.repeat(100)}` }],
  ['TRACE', 'method_not_allowed', { method: 'TRACE' }],
  ['CONNECT', 'method_not_allowed', { method: 'CONNECT', url: '' }],
  ['a blank in the target', 'bad_request', { url: '/a HTTP/1.1' }],
  ['a line end in the target', 'bad_request', { url: '/a\r\nX: y' }],
  ['a tab in the target', 'bad_request', { url: '/a\tb' }],
  ['a NUL in the target', 'bad_request', { url: '/a\0' }],
  ['a fragment', 'bad_request', { url: '/a#b' }],
  ['the absolute form', 'bad_request', { url: 'https://a/b' }],
  ['an asterisk', 'bad_request', { url: '*' }],
  ['an empty target', 'bad_request', { url: '' }],
  ['a blank in the method', 'bad_request', { method: 'GET /x HTTP/1.1\r\n\r\nGET' }],
  ['an empty method', 'bad_request', { method: '' }],
  ['a line end in a value', 'bad_request', { rawHeaders: [':authority', 'a', 'x', 'y\r\nZ: 1'] }],
  ['a bare LF in a value', 'bad_request', { rawHeaders: [':authority', 'a', 'x', 'y\nz'] }],
  ['a bare CR in a value', 'bad_request', { rawHeaders: [':authority', 'a', 'x', 'y\rz'] }],
  ['a NUL in a value', 'bad_request', { rawHeaders: [':authority', 'a', 'x', 'y\0z'] }],
  ['a line end in a name', 'bad_request', { rawHeaders: [':authority', 'a', 'x: y\r\nz', '1'] }],
  ['a colon in a name', 'bad_request', { rawHeaders: [':authority', 'a', 'x:y', '1'] }],
  ['a blank after a name', 'bad_request', { rawHeaders: [':authority', 'a', 'transfer-encoding ', 'chunked'] }],
  ['an empty name', 'bad_request', { rawHeaders: [':authority', 'a', '', '1'] }],
  ['no authority', 'bad_request', { rawHeaders: ['accept', '*/*'] }],
  ['an empty authority', 'bad_request', { rawHeaders: [':authority', ''] }],
  ['a path in the authority', 'bad_request', { rawHeaders: [':authority', 'a/b'] }],
  ['a user in the authority', 'bad_request', { rawHeaders: [':authority', 'u@a'] }],
  ['a line end in the authority', 'bad_request', { rawHeaders: [':authority', 'a\r\nX: y'] }],
  ['an authority and another Host', 'bad_request', { rawHeaders: [':authority', 'a', 'host', 'b'] }],
  ['two Hosts', 'bad_request', { rawHeaders: ['host', 'a', 'host', 'b'] }],
])('%s is %s', (_what, fault, changes) => {
  expect(guard(asked(changes))).toBe(fault)
})
