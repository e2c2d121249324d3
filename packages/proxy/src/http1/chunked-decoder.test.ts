import { describe, expect, test } from '@jest/globals'
import { ChunkedDecoder } from './chunked-decoder.ts'
import { UpstreamFault } from './upstream-fault.ts'
import type { RawFields } from './exchange-types.ts'

interface Decoded {
  body: string
  trailers: RawFields | undefined
  rest: string
  ends: number
}

function decode(parts: readonly Buffer[]): Decoded {
  const decoded: Decoded = { body: '', trailers: undefined, rest: '', ends: 0 }
  const decoder = new ChunkedDecoder({
    data: (chunk) => (decoded.body += chunk.toString('latin1')),
    ended: (trailers, rest) => {
      decoded.ends += 1
      decoded.trailers = trailers
      decoded.rest = rest.toString('latin1')
    },
  })
  for (const part of parts) {
    if (decoded.ends === 0) decoder.push(part)
    else decoded.rest += part.toString('latin1')
  }
  return decoded
}

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')

function faultOf(parts: readonly Buffer[]): string {
  try {
    decode(parts)
  } catch (error) {
    if (error instanceof UpstreamFault && error.kind === 'garbled') return error.message
    throw error
  }
  throw new Error('it was accepted')
}

const everyByte = (text: string): Buffer[] => Array.from(bytes(text), (byte) => Buffer.of(byte))

describe('the same body comes out wherever the input is split', () => {
  test.each<[string, string, Omit<Decoded, 'ends'>]>([
    ['one chunk', '5\r\nhello\r\n0\r\n\r\n', { body: 'hello', trailers: [], rest: '' }],
    ['no chunk', '0\r\n\r\n', { body: '', trailers: [], rest: '' }],
    [
      'many chunks',
      '1\r\na\r\n2\r\nbc\r\n00A\r\n0123456789\r\n0\r\n\r\n',
      { body: 'abc0123456789', trailers: [], rest: '' },
    ],
    [
      'chunks of line ends',
      '4\r\n\r\n\r\n\r\n2\r\n\r\n\r\n0\r\n\r\n',
      { body: '\r\n\r\n\r\n', trailers: [], rest: '' },
    ],
    [
      'capital and small digits',
      'a\r\n0123456789\r\nA\r\n0123456789\r\n000\r\n\r\n',
      { body: '01234567890123456789', trailers: [], rest: '' },
    ],
    ['extensions', '2;a=b;c="d e"\r\nhi\r\n1 ; x\r\n!\r\n0;last\r\n\r\n', { body: 'hi!', trailers: [], rest: '' }],
    [
      'sizes filled with zeros',
      '0000000000000002\r\nhi\r\n0000000000000000\r\n\r\n',
      { body: 'hi', trailers: [], rest: '' },
    ],
    ['blanks after the size', '2  \t\r\nhi\r\n0 \r\n\r\n', { body: 'hi', trailers: [], rest: '' }],
    [
      'trailers',
      '1\r\na\r\n0\r\nX-Sum: 1\r\nx-b:\t\xe9 \r\n\r\n',
      { body: 'a', trailers: ['X-Sum', '1', 'x-b', '\xe9'], rest: '' },
    ],
    [
      'bytes after the end',
      '1\r\na\r\n0\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\n',
      { body: 'a', trailers: ['A', 'b'], rest: 'HTTP/1.1 200 OK\r\n' },
    ],
  ])('%s', (_what, text, expected) => {
    const whole = bytes(text)
    const result = { ...expected, ends: 1 }
    expect(decode([whole])).toEqual(result)
    expect(decode(everyByte(text))).toEqual(result)
    for (let first = 1; first < whole.length; first += 1) {
      expect([first, decode([whole.subarray(0, first), whole.subarray(first)])]).toEqual([first, result])
      for (let second = first + 1; second < whole.length; second += 1) {
        const parts = [whole.subarray(0, first), whole.subarray(first, second), whole.subarray(second)]
        expect([first, second, decode(parts)]).toEqual([first, second, result])
      }
    }
  })
})

describe('what could be read in two ways is refused wherever it is split', () => {
  test.each([
    ['an empty size', '\r\n', 'a chunk size is malformed'],
    ['a signed size', '+5\r\nhello\r\n', 'a chunk size is malformed'],
    ['a negative size', '-5\r\nhello\r\n', 'a chunk size is malformed'],
    ['a hexadecimal prefix', '0x5\r\nhello\r\n', 'a chunk size is malformed'],
    ['a digit too many', 'g\r\n', 'a chunk size is malformed'],
    ['an underscore', '1_0\r\n', 'a chunk size is malformed'],
    ['a blank before the size', ' 5\r\nhello\r\n', 'a chunk size is malformed'],
    ['two sizes', '5 5\r\nhello\r\n', 'a chunk size is malformed'],
    ['a size beyond a safe integer', '20000000000000\r\n', 'a chunk size is malformed'],
    ['a size that wraps', '10000000000000005\r\nhello\r\n', 'a chunk size is malformed'],
    ['NUL in an extension', '5;\0\r\nhello\r\n', 'a chunk size is malformed'],
    ['a bare CR in an extension', '5;a\rb\r\nhello\r\n', 'a chunk size is malformed'],
    ['a bare LF after the size', '5\nhello\r\n', 'a bare LF in a chunked body'],
    ['a bare LF after an extension', '5;a\nhello\r\n', 'a bare LF in a chunked body'],
    ['a bare LF after a chunk', '5\r\nhello\n0\r\n\r\n', 'a bare LF in a chunked body'],
    ['a bare LF at the end', '0\r\n\n', 'a bare LF in a chunked body'],
    ['a bare LF after a trailer', '0\r\nA: b\n\r\n', 'a bare LF in a chunked body'],
    ['a chunk longer than its size', '5\r\nhello!\r\n0\r\n\r\n', 'a line of a chunked body is too long'],
    ['a chunk shorter than its size', '5\r\nhell\r\n0\r\n\r\n', 'a bare LF in a chunked body'],
    ['a trailer without a colon', '0\r\nA\r\n\r\n', 'a field line has no colon'],
    ['a folded trailer', '0\r\nA: b\r\n c\r\n\r\n', 'a field line has no colon'],
    ['a trailer of CR', '0\r\n\r\r\n\r\n', 'a field line has no colon'],
    ['a bare CR in a trailer', '0\r\nA: b\rc\r\n\r\n', 'a field value holds a CR or NUL'],
    ['a CR too many after a trailer', '0\r\nA: b\r\r\nC: d\r\n\r\n', 'a field value holds a CR or NUL'],
    ['a space before a trailer’s colon', '0\r\nA : b\r\n\r\n', 'a field name is malformed'],
  ])('%s', (_what, text, message) => {
    const whole = bytes(text)
    expect(faultOf([whole])).toBe(message)
    // Of two faults in one place, it depends on the split which is seen first.
    expect(faultOf(everyByte(text))).not.toBe('')
    for (let at = 1; at < whole.length; at += 1) {
      expect(faultOf([whole.subarray(0, at), whole.subarray(at)])).not.toBe('')
    }
  })
})

const longTrailers = (count: number): string => `0\r\n${`X-${'y'.repeat(90)}: z\r\n`.repeat(count)}\r\n`

describe('lines have a limit', () => {
  const tooLong = 'a line of a chunked body is too long'

  test('of 4 KB for a size with its extensions', () => {
    const good = `1;${'x'.repeat(4000)}\r\na\r\n0\r\n\r\n`
    expect(decode([bytes(good)]).body).toBe('a')
    expect(decode(everyByte(good)).body).toBe('a')
    const bad = `1;${'x'.repeat(5000)}\r\na\r\n0\r\n\r\n`
    expect(faultOf([bytes(bad)])).toBe(tooLong)
    expect(faultOf(everyByte(bad))).toBe(tooLong)
    expect(faultOf([bytes('x'.repeat(5000))])).toBe(tooLong)
  })

  test('of 16 KB for all trailers together', () => {
    expect(decode([bytes(longTrailers(160))]).trailers).toHaveLength(320)
    expect(faultOf([bytes(longTrailers(180))])).toBe(tooLong)
    expect(faultOf(everyByte(longTrailers(180)))).toBe(tooLong)
    expect(faultOf([bytes(`0\r\n${'x'.repeat(20_000)}`)])).toBe(tooLong)
  })
})

test('trailers that would change what came before are left out', () => {
  const names =
    'Content-Length Transfer-Encoding Connection Keep-Alive TE Upgrade Trailer Host Authorization Set-Cookie Cookie ' +
    'Content-Type Content-Encoding Content-Range Cache-Control Expires Location Vary X-Forwarded-For'
  const lines = names.split(' ').map((name) => `${name}: 1\r\n`)
  const { trailers } = decode([bytes(`0\r\nETag: "a"\r\n${lines.join('')}Server-Timing: x\r\n\r\n`)])
  expect(trailers).toEqual(['ETag', '"a"', 'Server-Timing', 'x'])
})

test('a chunk that is all of what came is passed on as it is, without a copy', () => {
  const chunks: Buffer[] = []
  const decoder = new ChunkedDecoder({ data: (chunk) => chunks.push(chunk), ended: () => {} })
  decoder.push(bytes('10\r\n'))
  const part = bytes('0123456789')
  decoder.push(part)
  expect(chunks[0]).toBe(part)
})
