import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { converse } from '@ipfleet/testing/raw-conversation.ts'
import { RecordingBackend } from '@ipfleet/testing/recording-backend.ts'
import { type RunningEdge, startEdge } from './start-edge.ts'

/** What becomes of an answer between the backend and the client. */
let backend: RecordingBackend
let edge: RunningEdge
beforeAll(async () => {
  backend = await RecordingBackend.start()
  edge = await startEdge({ backends: [backend.port] })
})
afterAll(async () => {
  await edge.stop()
  await backend[Symbol.asyncDispose]()
})
beforeEach(() => backend.forget())

/** Everything that the client gets, head in its spelling, when the backend says this and closes. */
async function passedOn(
  answer: string | readonly string[],
  request = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  to = edge,
): Promise<{ status: string; fields: string[]; body: string; end: string }> {
  const text = typeof answer === 'string' ? answer : [...answer, '', ''].join('\r\n')
  backend.answer = (_request, socket) => void socket.end(text, 'latin1')
  const { bytes, end } = await converse(to.port, request)
  const headEnd = bytes.indexOf('\r\n\r\n')
  const [status = '', ...fields] = bytes.slice(0, headEnd).split('\r\n')
  return { status, fields, body: bytes.slice(headEnd + 4), end }
}

const plainly = (verb: string): string => `${verb} / HTTP/1.1\r\nHost: a\r\n`

const named = (fields: readonly string[], ...names: string[]): string[] =>
  fields.filter((field) => names.includes(field.slice(0, field.indexOf(':')).toLowerCase()))

describe('an answer keeps', () => {
  test('its status line and its fields, as they came', async () => {
    const fields = [
      'SERVER: x',
      'Set-Cookie: a=1; Path=/',
      'x-Odd:  caf\xe9 \x80 ',
      'Set-Cookie: b=2',
      'Link: </a>',
      'LINK: </b>',
      'Location: /a/../b?c=%20',
      'Content-Encoding: gzip',
      'ETag: W/"1"',
      'Vary: *',
    ]
    const answer = await passedOn(['HTTP/1.1 418 I\xb4m a teapot', ...fields, 'Content-Length: 0'])
    expect(answer.status).toBe('HTTP/1.1 418 I\xb4m a teapot')
    expect(answer.fields.slice(0, fields.length)).toEqual(fields.map((field) => field.replace(/: +(.*?) *$/, ': $1')))
  })

  test.each([200, 201, 226, 299, 301, 401, 404, 418, 451, 500, 503, 599])('its status: %i', async (status) => {
    expect((await passedOn([`HTTP/1.1 ${status} `, 'Content-Length: 0'])).status).toBe(`HTTP/1.1 ${status} `)
  })

  test('its Date, and gets one if it has none', async () => {
    const date = 'Date: Sun, 06 Nov 1994 08:49:37 GMT'
    const dated = await passedOn(['HTTP/1.1 200 OK', date, 'Content-Length: 0'])
    expect(named(dated.fields, 'date')).toEqual([date])
    const undated = await passedOn(['HTTP/1.1 200 OK', 'Content-Length: 0'])
    expect(named(undated.fields, 'date')).toEqual([expect.stringMatching(/^Date: .* GMT$/)])
  })

  test('nothing that was said for the first hop only', async () => {
    const hop = ['Keep-Alive: timeout=1', 'Proxy-Connection: close', 'Connection: X-Private, close', 'x-private: 1']
    const { fields } = await passedOn(['HTTP/1.1 200 OK', ...hop, 'Upgrade: h2c', 'TE: x', 'Content-Length: 0'])
    const names = 'keep-alive proxy-connection connection x-private upgrade te'.split(' ')
    expect(named(fields, ...names)).toEqual(['Connection: close'])
  })
})

describe('the end of a body is told once', () => {
  const chunks = '4;ext=1\r\nbody\r\n0\r\n\r\n'

  test('by the length, where the backend gave one', async () => {
    const { fields, body } = await passedOn('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody')
    expect([named(fields, 'content-length', 'transfer-encoding'), body]).toEqual([['Content-Length: 4'], 'body'])
  })

  test.each([
    ['in chunks', `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`],
    ['until the connection ended', 'HTTP/1.1 200 OK\r\n\r\nbody'],
    ['as HTTP/1.0 does', 'HTTP/1.0 200 OK\r\n\r\nbody'],
  ])('by chunks, where it came %s', async (_how, answer) => {
    const { status, fields, body } = await passedOn(answer)
    expect(status).toBe('HTTP/1.1 200 OK')
    expect(named(fields, 'content-length', 'transfer-encoding')).toEqual(['Transfer-Encoding: chunked'])
    expect(body).toBe('4\r\nbody\r\n0\r\n\r\n')
  })

  test.each([
    ['204', 'GET', 'HTTP/1.1 204 No Content\r\n\r\n', []],
    ['204 that gives a length', 'GET', 'HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n', []],
    ['304', 'GET', 'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\nContent-Length: 7\r\n\r\n', ['Content-Length: 7']],
    ['answer to HEAD', 'HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n', ['Content-Length: 7']],
    ['answer to HEAD in chunks', 'HEAD', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', []],
    ['answer to HEAD that announces trailers', 'HEAD', 'HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\n\r\n', []],
  ])('not at all, of a %s; and the next answer follows', async (_what, method, answer, framing) => {
    backend.answer = ({ method: asked }, socket) =>
      void socket.write(asked === 'POST' ? 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext' : answer)
    const { bytes } = await converse(edge.port, `${plainly(method)}\r\n${plainly('POST')}Connection: close\r\n\r\n`)
    const [first = '', second = '', body] = bytes.split('\r\n\r\n')
    expect(first.slice(0, 12)).toBe(answer.slice(0, 12))
    expect(named(first.split('\r\n'), 'content-length', 'transfer-encoding')).toEqual(framing)
    expect([second.slice(0, 15), body]).toEqual(['HTTP/1.1 200 OK', 'next'])
  })

  test('by the length, even of an answer that announces trailers and cannot have them', async () => {
    const { status, body } = await passedOn('HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nContent-Length: 4\r\n\r\nbody')
    expect([status, body]).toEqual(['HTTP/1.1 200 OK', 'body'])
  })
})

describe('X-Backend', () => {
  test('names who answered, whatever that one says', async () => {
    const { fields } = await passedOn(['HTTP/1.1 200 OK', 'x-backend: 10.0.0.9:80', 'Content-Length: 0'])
    expect(named(fields, 'x-backend')).toEqual([`X-Backend: 127.0.0.1:${backend.port}`])
  })

  test('is not there with show_backend = false', async () => {
    await using discreet = await startEdge({ backends: [backend.port], server: 'show_backend = false' })
    const { status, fields } = await passedOn(
      ['HTTP/1.1 200 OK', 'X-Backend: 10.0.0.9:80', 'Content-Length: 0'],
      undefined,
      discreet,
    )
    expect([status, named(fields, 'x-backend')]).toEqual(['HTTP/1.1 200 OK', []])
  })
})

describe('a client of HTTP/1.0', () => {
  const plain = 'GET / HTTP/1.0\r\nHost: a\r\n\r\n'

  test('gets no chunks and no trailers, and the end of the connection as the end of the body', async () => {
    const chunked =
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n4\r\nbody\r\n0\r\nX-Sum: 1\r\n\r\n'
    const { status, fields, body, end } = await passedOn(chunked, plain)
    expect([status, body, end]).toEqual(['HTTP/1.1 200 OK', 'body', 'closed'])
    expect(named(fields, 'content-length', 'transfer-encoding', 'trailer')).toEqual([])
  })

  test('gets no interim answers', async () => {
    const hinted = 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody'
    expect(await passedOn(hinted, plain)).toMatchObject({ status: 'HTTP/1.1 200 OK', body: 'body', end: 'closed' })
  })

  test('keeps its connection if it asks for that, as long as bodies have a length', async () => {
    let answers = 0
    backend.answer = (_request, socket) => {
      answers += 1
      socket.end(`HTTP/1.1 200 OK\r\nConnection: close\r\n${answers < 3 ? 'Content-Length: 4\r\n' : ''}\r\nbody`)
    }
    const keep = 'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n'
    const { bytes, end } = await converse(edge.port, keep.repeat(4))
    expect(bytes.match(/^connection: .*$/gim)).toEqual([
      'Connection: keep-alive',
      'Connection: keep-alive',
      'Connection: close',
    ])
    expect([bytes.match(/body/g)?.length, end]).toEqual([3, 'closed'])
  })
})
