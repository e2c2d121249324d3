import { describe, expect, test } from '@jest/globals'
import { asWritten } from '@ipfleet/settings/toml-document.ts'
import { backendList, keyExtractor, listenAddress, pathPrefix, requestTarget, urlPath } from './config-kinds.ts'

const refused = Symbol('refused')

type Kind = typeof urlPath | typeof listenAddress | typeof keyExtractor | typeof backendList

function read(kind: Kind, given: string | readonly string[]): unknown {
  const outcome = kind.safeParse(asWritten(given))
  return outcome.success ? outcome.data : refused
}

function backend(url: string): unknown {
  const list = read(backendList, [url])
  return Array.isArray(list) ? list[0] : list
}

describe.each<[string, Kind, ReadonlyArray<readonly [string, unknown]>]>([
  [
    'where to listen',
    listenAddress,
    [
      ['0.0.0.0:8080', { host: '0.0.0.0', port: 8080 }],
      [':8080', { host: '', port: 8080 }],
      ['[::]:0', { host: '::', port: 0 }],
      ['Localhost:80', { host: 'localhost', port: 80 }],
      ['8080', refused],
      ['::1:8080', refused],
      ['[::1%eth0]:80', refused],
      ['0.0.0.0', refused],
      ['0.0.0.0:', refused],
      ['0.0.0.0:65536', refused],
      ['0.0.0.0:080', refused],
      ['127.1:80', refused],
      ['http://a:80', refused],
      ['', refused],
    ],
  ],
  [
    'a path',
    urlPath,
    [
      ['/metrics', '/metrics'],
      ['metrics', refused],
      ['/a?b', refused],
      ['/a b', refused],
      ['', refused],
    ],
  ],
  [
    'a prefix',
    pathPrefix,
    [
      ['/', '/'],
      ['/a/', '/a'],
      ['//', refused],
      ['/a/../b', refused],
      ['/a/.', refused],
      ['/a/.well-known', '/a/.well-known'],
    ],
  ],
  [
    'what is requested',
    requestTarget,
    [
      ['/a?b', '/a?b'],
      ['/a#b', refused],
    ],
  ],
  [
    'who is a client',
    keyExtractor,
    [
      ['client_ip', { kind: 'client_ip' }],
      ['token', { kind: 'token' }],
      ['header:X-Api-Key', { kind: 'header', name: 'x-api-key' }],
      ['header:', refused],
      ['header:a b', refused],
      ['cookie:a', refused],
    ],
  ],
])('%s', (_, kind, cases) => {
  test.each(cases)('reads %j as %p', (given, expected) => {
    expect(read(kind, given)).toEqual(expected)
  })
})

test.each([
  ['http://a', { protocol: 'http:', hostname: 'a', port: 80, weight: 1 }],
  ['HTTPS://A/', { protocol: 'https:', hostname: 'a', port: 443, weight: 1 }],
  ['http://[::1]:8080', { protocol: 'http:', hostname: '::1', port: 8080, weight: 1 }],
  ['http://a:0', refused],
  ['http://a:', refused],
  ['http://a:65536', refused],
  ['http://a/b', refused],
  ['http://a?b', refused],
  ['http://a#b', refused],
  ['http://u@a', refused],
  ['http://::1', refused],
  ['http://0x7f.1', refused],
  ['http://2130706433', refused],
  ['http://-', refused],
  ['http://a..b', refused],
  ['http://', refused],
  ['ftp://a', refused],
  ['a:80', refused],
])('the backend %j is %p', (given, expected) => {
  expect(backend(given)).toEqual(expected)
})
