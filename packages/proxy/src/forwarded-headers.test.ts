import { describe, expect, test } from '@jest/globals'
import { ForwardedHeaders, nextMaxForwards, passedFields } from './forwarded-headers.ts'
import type { AnswerHead } from './http1/exchange-types.ts'

/** From lines as they stand in a request. */
function forwarded(...lines: string[]): ForwardedHeaders {
  return new ForwardedHeaders(
    lines.flatMap((line) => [line.slice(0, line.indexOf(': ')), line.slice(line.indexOf(': ') + 2)]),
  )
}

const words = (text: string): string[] => text.split(' ')

describe('what is passed on', () => {
  test('keeps its order, its spelling and its repetitions', () => {
    const lines = ['accept: */*', 'X-B: 1', 'Authorization: Bearer x', 'x-b: 2', 'Accept: text/html', 'X-Empty: ']
    expect(forwarded(...lines).lines).toBe(lines.map((line) => `${line}\r\n`).join(''))
  })

  test.each(['Transfer-%45ncoding: chunked', 'X-Real: y', 'X-Forwarded: y', 'Host-Name: y', 'X_Custom: y', 'TE_: y'])(
    'is also what only looks like a field of ours: %s',
    (line) => {
      expect(forwarded(line).lines).toBe(`${line}\r\n`)
    },
  )

  test('is one Cookie, of however many', () => {
    expect(forwarded('Cookie: a=1', 'X: y', 'cookie: b=2; c=3', 'COOKIE: d=4').lines).toBe(
      'X: y\r\nCookie: a=1; b=2; c=3; d=4\r\n',
    )
  })
})

describe('what is not', () => {
  test.each(
    words(
      'Keep-Alive Proxy-Connection Proxy-Authorization HTTP2-Settings Connection TE Upgrade Content-Length ' +
        'Transfer-Encoding Host Expect Max-Forwards Via X-Request-Id X-Proxy X-Forwarded-For X-Forwarded-Proto ' +
        'X-Forwarded-Host X-Forwarded-Port X-Forwarded-Server X-Real-IP Forwarded ' +
        ':authority :path :method :scheme :anything',
    ),
  )('%s, in any letter case', (name) => {
    for (const spelling of [name, name.toUpperCase(), name.toLowerCase()]) {
      expect(forwarded(`${spelling}: 1`, 'X: y').lines).toBe('X: y\r\n')
    }
  })

  test.each(
    words(
      'X_Forwarded_For X-Forwarded_For x_real_ip X_REAL-IP Transfer_Encoding Content_Length X_Forwarded_Proto ' +
        'X_Forwarded_Host X_Proxy X_Request_Id Keep_Alive Max_Forwards',
    ),
  )('%s, which CGI reads as the name with hyphens', (name) => {
    const fields = forwarded(`${name}: 1`)
    expect(fields).toEqual(forwarded())
  })
})

describe('what is heeded instead', () => {
  test('the framing', () => {
    expect(forwarded('Content-Length: 5')).toMatchObject({ contentLength: '5', chunked: false })
    expect(forwarded('Transfer-Encoding: chunked')).toMatchObject({ contentLength: undefined, chunked: true })
  })

  test('the host, under the name it has in either version of HTTP', () => {
    expect([forwarded('hOST: a').host, forwarded(':authority: b').host, forwarded().host]).toEqual(['a', 'b', ''])
  })

  test.each([
    ['100-continue', true],
    ['100-Continue', true],
    ['100-continue, x', false],
    ['x', false],
  ])('Expect: %s', (value, expectsContinue) => {
    expect(forwarded(`Expect: ${value}`).expectsContinue).toBe(expectsContinue)
  })

  test.each([
    ['trailers', true],
    ['gzip;q=0.5, Trailers', true],
    ['gzip', false],
    ['trailersx', false],
  ])('TE: %s', (value, takesTrailers) => {
    expect(forwarded(`TE: ${value}`).takesTrailers).toBe(takesTrailers)
  })

  test('lists that go on here, over all lines', () => {
    const fields = forwarded(
      'Via: 1.1 a',
      'X-Forwarded-For: 1.1.1.1',
      'via: 1.0 b',
      'x-forwarded-for: 2.2.2.2, 3.3.3.3',
    )
    expect(fields).toMatchObject({ via: '1.1 a, 1.0 b', forwardedFor: '1.1.1.1, 2.2.2.2, 3.3.3.3' })
  })

  test('two ids of one request as what they are, which has not the form of an id', () => {
    expect(forwarded('X-Request-Id: a', 'x-request-id: b').requestId).toBe('a, b')
  })

  const valid = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
  const own = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: 'b7ad6b7169203331', flags: 0 }
  const ours = 'traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-b7ad6b7169203331-00'
  test.each([
    ['as it came', [`Traceparent: ${valid}`], undefined, [`traceparent: ${valid}`]],
    [
      'with all of its state',
      [`traceparent: ${valid}`, 'tracestate: a=1', 'Tracestate: b=2'],
      undefined,
      [`traceparent: ${valid}`, 'tracestate: a=1,b=2'],
    ],
    ['not at all when it cannot be read', ['traceparent: 00-1-2-01', 'tracestate: a=1'], undefined, []],
    ['not at all when there are two', [`traceparent: ${valid}`, `traceparent: ${valid}`], undefined, []],
    ['without a state of its own', ['tracestate: a=1'], undefined, []],
    ['with the parent of this hop', [`traceparent: ${valid}`, 'tracestate: a=1'], own, [ours, 'tracestate: a=1']],
    ['begun here', ['traceparent: none', 'tracestate: a=1'], own, [ours]],
    [
      'not what was for this hop',
      ['Connection: traceparent', `traceparent: ${valid}`, 'tracestate: a=1'],
      undefined,
      [],
    ],
  ] as const)('the trace goes on %s', (_how, lines, span, sent) => {
    const fields = forwarded(...lines)
    expect([fields.lines, fields.traceLines(span)]).toEqual(['', sent.map((line) => `${line}\r\n`).join('')])
  })

  test('what proxies say', () => {
    const fields = forwarded('X-Forwarded-Proto: https', 'X-Forwarded-Host: b', 'X-Request-Id: 7', 'Max-Forwards: 3')
    expect(fields).toMatchObject({ forwardedProto: 'https', forwardedHost: 'b', requestId: '7', maxForwards: '3' })
  })
})

describe('Connection', () => {
  test('is read at once, however many blanks are in it', () => {
    const startedMs = performance.now()
    for (const blanks of [' '.repeat(16_000), '\t '.repeat(8000)]) {
      expect(forwarded('X-A: 1', `Connection: x-a, x${blanks}y`).lines).toBe('')
    }
    expect(performance.now() - startedMs).toBeLessThan(100)
  })

  test.each(['X-Hop', 'x-hop', 'keep-alive, X-HOP', 'close,x-hop ,', 'X-Other , X-Hop'])(
    'takes out what it names: %s',
    (names) => {
      expect(forwarded('X-A: 1', `Connection: ${names}`, 'X-Hop: 2', 'x-hop: 3').lines).toBe('X-A: 1\r\n')
    },
  )

  test('takes out what any of its lines names, cookies too', () => {
    const fields = forwarded('Connection: X-A', 'X-A: 1', 'Cookie: a=1', 'X-B: 2', 'X-C: 3', 'connection: X-B, cookie')
    expect(fields.lines).toBe('X-C: 3\r\n')
  })

  test('leaves cookies whole when it names something else', () => {
    expect(forwarded('Connection: X-A', 'Cookie: a=1', 'X-A: 1', 'Cookie: b=2').lines).toBe('Cookie: a=1; b=2\r\n')
  })

  test('cannot take away where a request goes and where it ends', () => {
    const fields = forwarded('Connection: Host, Content-Length', 'Host: a', 'Content-Length: 5')
    expect(fields).toMatchObject({ host: 'a', contentLength: '5' })
    expect(forwarded('Connection: Transfer-Encoding', 'Transfer-Encoding: chunked').chunked).toBe(true)
  })

  test('takes away what was said for this hop only, also of those fields that are set anew', () => {
    const said = 'Via, X-Request-Id, X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host'
    const fields = forwarded(`Connection: ${said}`, ...said.split(', ').map((name) => `${name}: 1`))
    expect(fields).toEqual(forwarded())
  })

  test.each([
    ['Upgrade', 'websocket'],
    ['keep-alive, upgrade', 'websocket'],
    ['keep-alive', undefined],
    ['close', undefined],
    ['X-Upgrade', undefined],
    [undefined, undefined],
  ])('%s with an Upgrade offers %s', (connection, upgrade) => {
    const lines = connection === undefined ? [] : [`Connection: ${connection}`]
    expect(forwarded('Upgrade: websocket', ...lines)).toMatchObject({ upgrade, lines: '' })
  })
})

test.each([
  ['OPTIONS', '5', { kind: 'pass on', value: '4' }],
  ['TRACE', '1', { kind: 'pass on', value: '0' }],
  ['OPTIONS', '0', { kind: 'answer here' }],
  ['OPTIONS', undefined, { kind: 'pass on', value: undefined }],
  ['OPTIONS', 'many', { kind: 'pass on', value: 'many' }],
  ['GET', '0', { kind: 'pass on', value: '0' }],
])('%s with Max-Forwards: %s', (method, given, expected) => {
  expect(nextMaxForwards(method, given)).toEqual(expected)
})

const fields = ['X-Ours', 'a', 'TRAILER', 'X-Sum', 'x-ours', 'b', 'X-Kept', 'c', 'Trailer', 'X-Two', 'X-Other', 'd']
const headWith = (framing: AnswerHead['framing'], of = fields): AnswerHead => ({
  status: 200,
  reason: 'OK',
  version: '1.1',
  fields: of,
  framing,
  upgrade: undefined,
})

test('what is this hop’s to say is left out, in any letter case', () => {
  const announcing = ['TRAILER', 'X-Sum', 'X-Kept', 'c', 'Trailer', 'X-Two', 'X-Other', 'd']
  expect(passedFields(headWith('chunked'), '1.1', 'x-ours')).toEqual(announcing)
})

test.each([
  [10, '1.1'],
  ['none', '1.1'],
  ['until-close', '1.1'],
  ['chunked', '1.0'],
] as const)('trailers are not announced where none can follow: %s to HTTP/%s', (framing, version) => {
  expect(passedFields(headWith(framing), version, 'x-ours')).toEqual(['X-Kept', 'c', 'X-Other', 'd'])
})

test('what only a proxy says to its own client is left out', () => {
  const asked = ['Proxy-Authenticate', 'Basic realm="x"', 'X-Kept', 'c', 'proxy-authentication-info', 'd']
  expect(passedFields(headWith(10, asked), '1.1', 'x-ours')).toEqual(['X-Kept', 'c'])
})

test('a list of which all is passed is passed as it is', () => {
  const all = ['X-Kept', 'c', 'X-Other', 'd']
  expect(passedFields(headWith(10, all), '1.1', 'x-ours')).toBe(all)
})
