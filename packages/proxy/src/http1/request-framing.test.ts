import { describe, expect, test } from '@jest/globals'
import type { UpstreamRequest } from './exchange-types.ts'
import { framingLines, lastChunk } from './request-framing.ts'

test.each<[string, Partial<UpstreamRequest>, string]>([
  ['nothing', {}, '\r\n'],
  ['a length', { body: 5 }, 'Content-Length: 5\r\n\r\n'],
  ['a length of zero', { body: 0 }, 'Content-Length: 0\r\n\r\n'],
  ['chunks', { body: 'chunked' }, 'Transfer-Encoding: chunked\r\n\r\n'],
  ['trailers', { takesTrailers: true }, 'Connection: TE\r\nTE: trailers\r\n\r\n'],
  ['an upgrade', { upgrade: 'websocket' }, 'Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n'],
  [
    'all of it',
    { body: 'chunked', upgrade: 'x', takesTrailers: true },
    'Transfer-Encoding: chunked\r\nConnection: Upgrade, TE\r\nUpgrade: x\r\nTE: trailers\r\n\r\n',
  ],
])('a request says of this hop: %s', (_what, request, lines) => {
  expect(framingLines({ method: 'POST', head: '', body: 'none', ...request }, false)).toBe(lines)
})

test.each<[string, Partial<UpstreamRequest>, string]>([
  ['nothing else', {}, 'Connection: close\r\n\r\n'],
  ['trailers', { takesTrailers: true }, 'Connection: close, TE\r\nTE: trailers\r\n\r\n'],
  ['an upgrade, and not that', { upgrade: 'x' }, 'Connection: Upgrade\r\nUpgrade: x\r\n\r\n'],
])('a request that is the only one of its connection says so: %s', (_what, request, lines) => {
  expect(framingLines({ method: 'GET', head: '', body: 'none', ...request }, true)).toBe(lines)
})

describe('the end of a chunked body', () => {
  test('carries its trailers', () => {
    expect(lastChunk([])).toBe('0\r\n\r\n')
    expect(lastChunk(['X-Sum', '1', 'X-É'.slice(0, 2), '\xe9'])).toBe('0\r\nX-Sum: 1\r\nX-: \xe9\r\n\r\n')
  })

  test.each([
    ['framing', 'Content-Length', '5'],
    ['framing', 'transfer-encoding', 'chunked'],
    ['who sent it', 'X-Forwarded-For', '1.1.1.1'],
    ['where it goes', 'Host', 'a'],
    ['a line end in a value', 'A', 'b\r\nC: d'],
    ['a character that ends the line as Latin-1', 'A', 'b\u010a\u010dC: d'],
    ['a line end in a name', 'A: b\r\nC', 'd'],
    ['an empty name', '', 'd'],
  ])('leaves out what may not be there: %s', (_what, name, value) => {
    expect(lastChunk(['A', '1', name, value, 'B', '2'])).toBe('0\r\nA: 1\r\nB: 2\r\n\r\n')
  })
})
