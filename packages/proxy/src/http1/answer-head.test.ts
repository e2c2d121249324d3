import { describe, expect, test } from '@jest/globals'
import { type ParsedHead, parseAnswerHead } from './answer-head.ts'
import type { BodyFraming } from './exchange-types.ts'
import { UpstreamFault } from './upstream-fault.ts'

const parse = (lines: readonly string[], method = 'GET'): ParsedHead => parseAnswerHead(lines.join('\r\n'), method)
const ok = (...fields: string[]): ParsedHead => parse(['HTTP/1.1 200 OK', ...fields])
const tolerant = (...fields: string[]): ParsedHead =>
  parseAnswerHead(['HTTP/1.1 200 OK', ...fields].join('\r\n'), 'GET', 'tolerant')

function messageOf(action: () => unknown): string {
  try {
    action()
  } catch (error) {
    if (error instanceof UpstreamFault && error.kind === 'garbled') return error.message
    throw error
  }
  throw new Error('it was accepted')
}

describe('a status line', () => {
  test.each([
    ['HTTP/1.1 200 OK', '1.1', 200, 'OK'],
    ['HTTP/1.0 404 Not Found', '1.0', 404, 'Not Found'],
    ['HTTP/1.1 200 O\x1bK\x7f', '1.1', 200, 'O K '],
    ['HTTP/1.1 200 ', '1.1', 200, ''],
    ['HTTP/1.1 200', '1.1', 200, ''],
    ['HTTP/1.1 599 \tx ', '1.1', 599, '\tx '],
    ['HTTP/1.1 500 Erreur priv\xe9e', '1.1', 500, 'Erreur priv\xe9e'],
    ['HTTP/1.1 600 High', '1.1', 600, 'High'],
    ['HTTP/1.1 999 Request denied', '1.1', 999, 'Request denied'],
    ['HTTP/1.1 100 Continue', '1.1', 100, 'Continue'],
    ['HTTP/1.1  200 OK', '1.1', 200, 'OK'],
    ['HTTP/1.2 200 OK', '1.1', 200, 'OK'],
    ['HTTP/2.0 200 OK', '1.1', 200, 'OK'],
  ])('%j is read', (line, version, status, reason) => {
    expect(parse([line])).toMatchObject({ version, status, reason, fields: [] })
  })

  test.each([
    '',
    ' HTTP/1.1 200 OK',
    'http/1.1 200 OK',
    'HTTP/2 200 OK',
    'HTTP/1.10 200 OK',
    'HTTP/0.9 200 OK',
    'HTTP/1.1200 OK',
    'HTTP/1.1 \t200 OK',
    'HTTP/1.1\t200 OK',
    'HTTP/1.1 20 OK',
    'HTTP/1.1 2000 OK',
    'HTTP/1.1 099 Low',
    'HTTP/1.1 -20 OK',
    'HTTP/1.1 2x0 OK',
    'HTTP/1.1 200OK',
    'HTTP/1.1 200 OK\r',
    'HTTP/1.1 200 O\0K',
    'HTTP/1.1 200 O\rK',
    'ICY 200 OK',
    'SSH-2.0-OpenSSH_9.6',
    '<html>',
  ])('%j is refused', (line) => {
    expect(messageOf(() => parse([line]))).toBe('the status line is malformed')
    expect(messageOf(() => parse([line, 'A: b']))).toBe('the status line is malformed')
  })
})

describe('fields', () => {
  test('keep spelling, order, repetition and every byte', () => {
    const fields = ['Set-Cookie: a=1', 'x-b: \xe9\xff', 'SET-COOKIE: b=2', 'Trailer: X-Sum']
    expect(ok(...fields).fields).toEqual([
      'Set-Cookie',
      'a=1',
      'x-b',
      '\xe9\xff',
      'SET-COOKIE',
      'b=2',
      'Trailer',
      'X-Sum',
    ])
  })

  test('for this hop only are not passed on', () => {
    const fields = ['Connection: keep-alive', 'Keep-Alive: timeout=5', 'Proxy-Connection: x', 'TE: trailers', 'A: b']
    expect(ok(...fields, 'Transfer-Encoding: chunked', 'Upgrade: h2c').fields).toEqual(['A', 'b'])
  })

  test('that Connection nominates are not passed on, wherever they stand', () => {
    const head = ok('X-A: 1', 'Connection: x-a, ,X-B', 'x-B: 2', 'X-C: 3', 'connection: Set-Cookie', 'Set-Cookie: a=1')
    expect(head.fields).toEqual(['X-C', '3'])
  })

  test('that Connection nominates do what they mean all the same', () => {
    const head = ok('Content-Length: 5', 'Connection: Content-Length, close')
    expect(head).toMatchObject({ fields: [], framing: 5, keepsAlive: false })
  })

  test('named like the options of Connection are no concern of theirs', () => {
    expect(ok('Connection: close, keep-alive, upgrade', 'Close: 1').fields).toEqual(['Close', '1'])
  })

  test('in a great number cost little, however many Connection nominates', () => {
    const names = Array.from({ length: 6000 }, (_, index) => `a${index.toString(36)}`)
    const fields = Array.from({ length: 4000 }, (_, index) => `x${index.toString(36)}:`)
    const connections = Array.from({ length: 4000 }, () => 'Connection: x')
    const before = process.threadCpuUsage()
    ok(`Connection: ${names.join()}`, ...fields)
    ok(...connections)
    expect(process.threadCpuUsage(before).user / 1000).toBeLessThan(150)
  })

  test.each([
    ['a line without a colon', 'Nonsense'],
    ['obs-fold', 'A: b\r\n c'],
    ['a space before the colon', 'Content-Length : 5'],
    ['a bare CR', 'A: b\rContent-Length: 5'],
    ['NUL', 'A: \0'],
  ])('are refused for %s', (_what, line) => {
    expect(messageOf(() => ok(line))).toMatch(/^a field/)
  })

  test.each([
    [undefined, []],
    ['websocket', ['Upgrade: websocket', 'Connection: upgrade']],
  ])('say that the server offers %s', (upgrade, fields) => {
    expect(ok(...fields).upgrade).toBe(upgrade)
  })
})

describe('the length of the body', () => {
  test.each([
    ['0', 0],
    ['5', 5],
    ['005', 5],
    ['9007199254740991', Number.MAX_SAFE_INTEGER],
  ])('is Content-Length: %s', (value, framing) => {
    const head = ok(`Content-Length:\t${value} `)
    expect(head).toMatchObject({ framing, fields: ['Content-Length', value] })
  })

  test('is told by its chunks', () => {
    expect(ok('Transfer-Encoding: Chunked').framing).toBe('chunked')
  })

  test('is told by the end of the connection if by nothing else', () => {
    expect(ok().framing).toBe('until-close')
    expect(parse(['HTTP/1.0 200 OK']).framing).toBe('until-close')
  })

  test.each([
    ['', 'Content-Length is malformed'],
    ['5, 5', 'Content-Length is malformed'],
    ['5,', 'Content-Length is malformed'],
    ['+5', 'Content-Length is malformed'],
    ['-5', 'Content-Length is malformed'],
    ['5.0', 'Content-Length is malformed'],
    ['0x5', 'Content-Length is malformed'],
    ['1e3', 'Content-Length is malformed'],
    ['5 5', 'Content-Length is malformed'],
    ['\xb2', 'Content-Length is malformed'],
    ['9007199254740992', 'Content-Length is malformed'],
    ['18446744073709551617', 'Content-Length is malformed'],
    ['5\r\nContent-Length: 5', 'Content-Length stands twice'],
    ['5\r\ncontent-length: 6', 'Content-Length stands twice'],
    ['5\r\nTransfer-Encoding: chunked', 'Content-Length and Transfer-Encoding stand together'],
  ])('cannot be Content-Length: %j', (value, message) => {
    expect(messageOf(() => ok(`Content-Length: ${value}`))).toBe(message)
    expect(messageOf(() => parse(['HTTP/1.1 200 OK', `Content-Length: ${value}`], 'HEAD'))).toBe(message)
  })

  test.each([
    ['', 'an unknown transfer coding'],
    ['identity', 'an unknown transfer coding'],
    ['gzip, chunked', 'an unknown transfer coding'],
    ['chunked, identity', 'an unknown transfer coding'],
    ['chunked, chunked', 'an unknown transfer coding'],
    ['xchunked', 'an unknown transfer coding'],
    ['"chunked"', 'an unknown transfer coding'],
    ['chunked;q=1', 'an unknown transfer coding'],
    ['\xa0chunked', 'an unknown transfer coding'],
    ['chunked\r\nTransfer-Encoding: chunked', 'Transfer-Encoding stands twice'],
    ['identity\r\nTransfer-Encoding: chunked', 'Transfer-Encoding stands twice'],
  ])('cannot be told by Transfer-Encoding: %j', (value, message) => {
    expect(messageOf(() => ok(`Transfer-Encoding: ${value}`))).toBe(message)
  })

  test('may be told by chunks in HTTP/1.0, after which nothing follows', () => {
    const lines = ['HTTP/1.0 200 OK', 'Transfer-Encoding: chunked', 'Connection: keep-alive']
    expect(parse(lines)).toMatchObject({ framing: 'chunked', keepsAlive: false })
  })

  test.each([
    ['HEAD', 200, ['Content-Length: 5'], ['Content-Length', '5']],
    ['HEAD', 200, ['Transfer-Encoding: chunked'], []],
    ['HEAD', 200, [], []],
    ['GET', 204, ['Content-Length: 5'], []],
    ['GET', 204, ['Transfer-Encoding: chunked'], []],
    ['GET', 304, ['Content-Length: 5'], ['Content-Length', '5']],
    ['GET', 304, [], []],
    ['GET', 100, ['Content-Length: 5'], []],
    ['GET', 101, [], []],
  ])('is none for %s with %i and %j', (method, status, lines, fields) => {
    expect(parse([`HTTP/1.1 ${status} x`, ...lines], method)).toMatchObject({ framing: 'none', fields })
  })

  test('counts for a method that only looks like HEAD', () => {
    expect(parse(['HTTP/1.1 200 OK', 'Content-Length: 5'], 'head').framing).toBe(5)
  })
})

test.each([
  ['1.1', undefined, true],
  ['1.1', 'keep-alive', true],
  ['1.1', 'Close', false],
  ['1.1', 'x, CLOSE', false],
  ['1.1', 'not-close', true],
  ['1.1', 'keep-alive, close', false],
  ['1.0', undefined, false],
  ['1.0', 'Keep-Alive', true],
  ['1.0', 'x', false],
  ['1.0', 'keep-alive\r\nConnection: close', false],
])('HTTP/%s with Connection: %j keeps the connection: %s', (version, connection, keepsAlive) => {
  const fields = connection === undefined ? [] : [`Connection: ${connection}`]
  expect(parse([`HTTP/${version} 200 OK`, ...fields]).keepsAlive).toBe(keepsAlive)
})

test.each(['HTTP/1.1  200 OK', 'HTTP/1.2 200 OK', 'HTTP/2.0 200 OK'])('%j ends the connection', (line) => {
  expect(parse([line, 'Content-Length: 5']).keepsAlive).toBe(false)
})

test.each([
  ['HEAD', 200, 'Content-Length: 5', false],
  ['HEAD', 404, 'Transfer-Encoding: chunked', false],
  ['HEAD', 200, 'X-A: b', false],
  ['HEAD', 200, 'Content-Length: 0', true],
  ['HEAD', 204, 'X-A: b', true],
  ['HEAD', 304, 'Content-Length: 5', false],
  ['GET', 304, 'Content-Length: 5', false],
  ['GET', 304, 'X-A: b', true],
  ['GET', 204, 'Content-Length: 0', true],
  ['POST', 204, 'Content-Length: 2', false],
  ['GET', 204, 'Transfer-Encoding: chunked', false],
  ['GET', 200, 'Content-Length: 5', true],
])('after the answer to %s with %i and %s the connection is used again: %s', (method, status, field, keepsAlive) => {
  expect(parse([`HTTP/1.1 ${status} x`, field], method).keepsAlive).toBe(keepsAlive)
})

test('lines may end in LF alone', () => {
  const head = parseAnswerHead('HTTP/1.1 200 OK\nA: b\r\nContent-Length: 5', 'GET')
  expect(head).toMatchObject({ reason: 'OK', fields: ['A', 'b', 'Content-Length', '5'], framing: 5 })
})

describe('an answer that is alone on its connection', () => {
  test.each<[string, string[], string[], BodyFraming]>([
    ['a length beside chunks', ['Content-Length: 5', 'Transfer-Encoding: chunked'], [], 'chunked'],
    ['chunks before a length', ['Transfer-Encoding: Chunked', 'content-length: 5', 'A: b'], ['A', 'b'], 'chunked'],
    ['a length that is repeated', ['Content-Length: 5', 'content-length: 5'], ['Content-Length', '5'], 5],
    ['a length that is repeated in one field', ['Content-Length: 5, 5 ,5'], ['Content-Length', '5'], 5],
    ['a blank before a colon', ['A : b', 'Content-Length\t : 5'], ['A', 'b', 'Content-Length', '5'], 5],
    ['a line that is folded', ['A: b', ' c', '\t d', 'E: f'], ['A', 'b c d', 'E', 'f'], 'until-close'],
    ['a folded length', ['Content-Length:', ' 5'], ['Content-Length', '5'], 5],
  ])('may have %s', (_what, lines, fields, framing) => {
    expect(tolerant(...lines)).toMatchObject({ fields, framing })
    expect(messageOf(() => ok(...lines))).toBeDefined()
  })

  test.each([
    ['unequal lengths', ['Content-Length: 5', 'Content-Length: 6']],
    ['unequal lengths in one field', ['Content-Length: 5, 6']],
    ['equal ones in two spellings', ['Content-Length: 5', 'Content-Length: 05']],
    ['an empty length', ['Content-Length:']],
    ['a length that is no number, beside chunks', ['Content-Length: x', 'Transfer-Encoding: chunked']],
    ['codings beside chunked', ['Transfer-Encoding: gzip, chunked']],
    ['chunked twice', ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked']],
    ['a blank before the first field', [' A: b']],
    ['a bare CR', ['A: b\rc']],
    ['a blank within a name', ['A b: c']],
  ])('must not have %s', (_what, lines) => {
    expect(messageOf(() => tolerant(...lines))).toBeDefined()
  })
})
