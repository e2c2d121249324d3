import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { RecordingBackend, valuesOf } from '@ipfleet/testing/recording-backend.ts'
import { until } from '@ipfleet/testing/until.ts'
import { h2, type H2End, type H2Fields, H2Wire } from './h2-wire.ts'
import { type RunningEdge, startEdge } from './start-edge.ts'
import { testCertificate } from './test-certificate.ts'

/** HTTP/2 that would become more than one request, or another one, if it were written down as HTTP/1.1. */
let backend: RecordingBackend
let edge: RunningEdge
let certificate: Awaited<ReturnType<typeof testCertificate>>
let wire: H2Wire
beforeAll(async () => {
  backend = await RecordingBackend.start()
  certificate = await testCertificate()
  edge = await startEdge({ backends: [backend.port], tables: certificate.toml })
})
afterAll(async () => {
  await edge.stop()
  await certificate[Symbol.asyncDispose]()
  await backend[Symbol.asyncDispose]()
})
beforeEach(() => backend.forget())

const usual = { ':method': 'POST', ':scheme': 'https', ':path': '/first', ':authority': 'a' }
const request = (changes: Partial<typeof usual> = {}, ...more: H2Fields): H2Fields => [
  ...Object.entries({ ...usual, ...changes }),
  ...more,
]
const hidden = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n'

/** Asks, then asks for something else on the same connection if that is still there, and lets all of it arrive. */
async function ask(fields: H2Fields, body?: string, trailers?: H2Fields): Promise<H2End> {
  wire = await H2Wire.to(edge.port)
  const end = await wire.ask(fields, body, trailers)
  await wire.ask(request({ ':method': 'GET', ':path': '/second' }))
  wire.destroy()
  const fence = await H2Wire.to(edge.port)
  await fence.ask(request({ ':method': 'GET', ':path': '/fence' }))
  fence.destroy()
  expect(backend.faults).toEqual([])
  expect(backend.requests.map(({ target }) => target)).not.toContain('/smuggled')
  return end
}

const first = () => backend.requests.filter(({ target }) => !['/second', '/fence'].includes(target))

/** Of the stream or the connection, or an answer that says so. */
function isRefusal(end: H2End): boolean {
  return end.kind !== 'answered' || /"status": 4\d\d/.test(end.body)
}

describe('is not passed on', () => {
  test.each<readonly [what: string, ...Parameters<typeof ask>]>([
    ['a length shorter than the body', request({}, ['content-length', '3']), 'hello'],
    ['a length longer than the body', request({}, ['content-length', '30']), 'hello'],
    ['two lengths', request({}, ['content-length', '5'], ['content-length', '5']), 'hello'],
    ['a list of lengths', request({}, ['content-length', '5, 5']), 'hello'],
    ['a length with a sign', request({}, ['content-length', '+5']), 'hello'],
    ['Transfer-Encoding', request({}, ['transfer-encoding', 'chunked']), `0\r\n\r\n${hidden}`],
    ['Connection', request({}, ['connection', 'transfer-encoding']), 'hello'],
    ['Upgrade', request({ ':method': 'GET' }, ['upgrade', 'websocket'])],
    ['TE other than trailers', request({}, ['te', 'chunked']), 'hello'],
    ['a name in upper case', request({}, ['Transfer-Encoding', 'chunked']), hidden],
    ['a line end in the path', request({ ':path': '/first HTTP/1.1\r\nX: y' }), 'hello'],
    ['a blank in the path', request({ ':path': '/first second' }), 'hello'],
    ['a fragment in the path', request({ ':path': '/first#second' }), 'hello'],
    ['a path without a slash', request({ ':path': 'http://b/first' }), 'hello'],
    ['an empty path', request({ ':path': '' }), 'hello'],
    ['two paths', request({}, [':path', '/other']), 'hello'],
    ['a line end in the method', request({ ':method': `${hidden}POST` }), 'hello'],
    ['a blank in the method', request({ ':method': 'GET /smuggled' }), 'hello'],
    ['a line end in the authority', request({ ':authority': 'a\r\nX: y' }), 'hello'],
    ['a path in the authority', request({ ':authority': 'a/b' }), 'hello'],
    ['a user in the authority', request({ ':authority': 'u@a' }), 'hello'],
    ['two authorities', request({}, [':authority', 'b']), 'hello'],
    ['an authority and another Host', request({}, ['host', 'b']), 'hello'],
    ['no authority', request().filter(([name]) => name !== ':authority'), 'hello'],
    ['a URL as the scheme', request({ ':scheme': 'https://b/smuggled?' }), 'hello'],
    ['a pseudo-field nobody knows', request({}, [':smuggled', 'y']), 'hello'],
    ['a pseudo-field after a field', [['x', 'y'], ...request()], 'hello'],
    ['an unknown expectation', request({}, ['expect', 'a-miracle']), 'hello'],
    ['TRACE', request({ ':method': 'TRACE' })],
    [
      'CONNECT',
      [
        [':method', 'CONNECT'],
        [':authority', 'a:443'],
      ],
    ],
    ['a path over the limit', request({ ':path': `/${'x'.repeat(8192)}` })],
    ['framing in trailers', request(), 'hello', [['content-length', '1']]],
    ['coding in trailers', request(), 'hello', [['transfer-encoding', 'chunked']]],
    ['a pseudo-field in trailers', request(), 'hello', [[':path', '/smuggled']]],
  ])('%s', async (_what, ...asked) => {
    const end = await ask(...asked)
    expect(first()).toEqual([])
    expect(isRefusal(end)).toBe(true)
  })
})

describe('is passed on without what is wrong with it', () => {
  test.each<readonly [what: string, fields: H2Fields, ...trailers: H2Fields[]]>([
    ['a line end in a value', request({}, ['x-a', 'y\r\nTransfer-Encoding: chunked'])],
    ['a bare LF in a value', request({}, ['x-a', 'y\nTransfer-Encoding: chunked'])],
    ['a bare CR in a value', request({}, ['x-a', 'y\rz'])],
    ['a NUL in a value', request({}, ['x-a', 'y\0z'])],
    ['a line end in a cookie', request({}, ['cookie', 'a=1\r\nX-A: y'])],
    ['a line end in a name', request({}, ['x-a: y\r\ntransfer-encoding', 'chunked'])],
    ['a colon in a name', request({}, ['transfer-encoding: chunked', 'x'])],
    ['a blank in a name', request({}, ['transfer-encoding ', 'chunked'])],
    ['an empty name', request({}, ['', 'chunked'])],
    ['an underscore in a name', request({}, ['transfer_encoding', 'chunked'])],
    ['a line end in a trailer', request(), [['x-a', `y\r\n\r\n${hidden}`]]],
  ])('%s', async (_what, fields, ...trailers) => {
    await ask(fields, 'hello', ...trailers)
    expect(first()).toMatchObject([{ method: 'POST', target: '/first', body: 'hello' }])
    const [seen] = first()
    expect(seen?.fields.filter(([name, value]) => /x-a|_|coo/i.test(name + value))).toEqual([])
  })
})

test('a body without a length is passed on in chunks, one with a length under that', async () => {
  await ask(request(), 'hello')
  await ask(request({}, ['content-length', '5']), 'hello')
  await ask(request({ ':method': 'GET' }))
  const framings = first().map((seen) => [
    seen.body,
    ...valuesOf(seen, 'transfer-encoding'),
    ...valuesOf(seen, 'content-length'),
  ])
  expect(framings).toEqual([['hello', 'chunked'], ['hello', '5'], ['']])
})

test('a request as a body stays a body', async () => {
  await ask(request(), hidden)
  expect(first()).toMatchObject([{ target: '/first', body: hidden }])
})

test.each([
  ['without an error', 0],
  ['because it cancels', 8],
])('half a body whose client resets its stream %s is not passed on as a whole one', async (_why, code) => {
  // So that there is a connection to the backend that would take it at once.
  await ask(request({ ':method': 'GET', ':path': '/second' }))
  wire = await H2Wire.to(edge.port)
  const sendHalf = (path: string): number => {
    const stream = wire.begin(request({ ':path': path }), h2.END_HEADERS)
    wire.frame(h2.DATA, 0, stream, Buffer.from('half'))
    return stream
  }
  const reset = (stream: number) => wire.frame(h2.RST_STREAM, 0, stream, Buffer.from([0, 0, 0, code]))
  const begun = sendHalf('/begun')
  await until(() => backend.unfinished.some((text) => text.includes('half')))
  reset(begun)
  reset(sendHalf('/collected'))
  await wire.ask(request({ ':method': 'GET', ':path': '/second' }))
  wire.destroy()
  await ask(request({ ':method': 'GET', ':path': '/second' }))
  expect(first()).toEqual([])
})
