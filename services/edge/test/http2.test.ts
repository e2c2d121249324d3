import { once } from 'node:events'
import { type ClientHttp2Session, constants } from 'node:http2'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { RecordingBackend, type SeenRequest } from '@ipfleet/testing/recording-backend.ts'
import { ScriptedBackend } from '@ipfleet/testing/scripted-backend.ts'
import type { Wire } from '@ipfleet/testing/wire.ts'
import { h2Ask, h2Reply, h2Session } from './h2-ask.ts'
import { H2Wire } from './h2-wire.ts'
import { type RunningEdge, startEdge } from './start-edge.ts'
import { testCertificate, type TestCertificate } from './test-certificate.ts'

/** HTTP/2 to clients, HTTP/1.1 to backends. Below `/by-hand` a test answers itself. */
let certificate: TestCertificate
let echoing: RecordingBackend
let byHand: ScriptedBackend
let edge: RunningEdge
let session: ClientHttp2Session
beforeAll(async () => {
  certificate = await testCertificate()
  echoing = await RecordingBackend.start()
  byHand = await ScriptedBackend.start()
  edge = await startEdge(edgeOptions())
})
beforeEach(async () => {
  session = await h2Session(edge.port, certificate.cert)
})
afterEach(() => session.destroy())
afterAll(async () => {
  await edge.stop()
  await byHand[Symbol.asyncDispose]()
  await echoing[Symbol.asyncDispose]()
  await certificate[Symbol.asyncDispose]()
})

function edgeOptions() {
  const route = '[[routes]]\nprefix = "/by-hand"\nupstreams = "hand"'
  const tables = `${certificate.toml}\n[groups.hand]\nbackends = ["http://127.0.0.1:${byHand.port}"]\n${route}`
  return { backends: [echoing.port], tables, server: 'max_body_bytes = 5000000' }
}

async function asked(): Promise<Wire> {
  const server = await byHand.accept()
  await server.saw('\r\n\r\n')
  return server
}

const get = { ':path': '/by-hand' }
const post = { ':path': '/by-hand', ':method': 'POST' }
const ok = (...fields: string[]): string => ['HTTP/1.1 200 OK', 'Connection: close', ...fields, '', ''].join('\r\n')
const chunked = 'Transfer-Encoding: chunked'

describe('a request', () => {
  test('becomes one of HTTP/1.1 that says where it is from', async () => {
    const headers = {
      ':path': '/a?b=c',
      'x-forwarded-proto': 'http',
      'x-odd': 'caf\xe9',
      te: 'trailers',
      accept: '*/*',
    }
    const { status, body } = await h2Ask(session, headers)
    const { method, target, fields } = JSON.parse(body) as SeenRequest
    expect([status, method, target]).toEqual([200, 'GET', '/a?b=c'])
    expect(Object.fromEntries(fields)).toEqual({
      Host: `127.0.0.1:${edge.port}`,
      'x-odd': 'caf\xe9',
      accept: '*/*',
      'X-Forwarded-For': '127.0.0.1',
      'X-Forwarded-Proto': 'https',
      'X-Forwarded-Host': `127.0.0.1:${edge.port}`,
      'X-Real-IP': '127.0.0.1',
      'X-Request-Id': expect.stringMatching(/^[\da-f-]{36}$/),
      'X-Proxy': 'ipfleet',
      Via: '2.0 ipfleet-edge',
      Connection: 'TE',
      TE: 'trailers',
    })
  })

  test('has one Cookie, of however many crumbs', async () => {
    const { body } = await h2Ask(session, { ':path': '/', cookie: ['a=1', 'b=2; c=3', 'd=4'] })
    const { fields } = JSON.parse(body) as SeenRequest
    expect(fields.filter(([name]) => name.toLowerCase() === 'cookie')).toEqual([['Cookie', 'a=1; b=2; c=3; d=4']])
  })

  test('has its trailers at the end, but for those that say who asks', async () => {
    const stream = session.request(post, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '1', 'x-real-ip': '1.2.3.4', via: 'b' }))
    stream.end('body')
    const server = await asked()
    await server.saw('\r\n0\r\nx-sum: 1\r\n\r\n')
    server.write(`${ok('Content-Length: 2')}ok`)
    expect(await h2Reply(stream)).toMatchObject({ status: 200, body: 'ok' })
  })

  test.each(['100-continue', '100-Continue'])('may expect %s, and hears it from the backend only', async (expected) => {
    const stream = session.request({ ...post, expect: expected, 'content-length': 4 }, { endStream: false })
    let continues = 0
    stream.on('continue', () => (continues += 1))
    const server = await asked()
    expect(server.text).toMatch(/^Expect: 100-continue\r$/m)
    // Had the edge said so by itself, it would have come before the answer to this.
    await h2Ask(session, { ':path': '/fence' })
    expect(continues).toBe(0)
    server.write('HTTP/1.1 100 Continue\r\n\r\n')
    await once(stream, 'continue')
    stream.end('body')
    await server.saw('body')
    server.write(ok('Content-Length: 0'))
    expect((await h2Reply(stream)).status).toBe(200)
    expect(continues).toBe(1)
  })
})

describe('an answer', () => {
  test('keeps its fields, also those that stand twice', async () => {
    const reply = h2Ask(session, get)
    const twice = [
      'Set-Cookie: a=1',
      'X-Odd: caf\xe9',
      'Set-Cookie: b=2',
      'Content-Language: de',
      'Content-Language: fr',
    ]
    ;(await asked()).write(`${ok('HTTP2-Settings: AAMAAABk', 'Keep-Alive: x', ...twice, 'Content-Length: 2')}ok`)
    const { fields, body } = await reply
    expect(body).toBe('ok')
    expect(fields).toEqual([
      [':status', '200'],
      ['set-cookie', 'a=1'],
      ['set-cookie', 'b=2'],
      ['x-odd', 'caf\xe9'],
      ['content-language', 'de'],
      ['content-language', 'fr'],
      ['content-length', '2'],
      ['x-backend', `127.0.0.1:${byHand.port}`],
      ['x-request-id', expect.any(String)],
      ['date', expect.any(String)],
    ])
  })

  test('is preceded by hints as they come', async () => {
    const stream = session.request(get)
    const hinted = once(stream, 'headers')
    const reply = h2Reply(stream)
    const server = await asked()
    server.write('HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nLink: </b.js>\r\n\r\n')
    await hinted
    server.write(`${ok('Content-Length: 2')}ok`)
    expect(await reply).toMatchObject({ status: 200, body: 'ok', interims: [[103, '</a.css>, </b.js>']] })
  })

  test.each([
    ['a length', `${ok('Content-Length: 4')}body`],
    ['chunks', `${ok(chunked)}4\r\nbody\r\n0\r\n\r\n`],
    ['trailers', `${ok(chunked)}4\r\nbody\r\n0\r\nX-Sum: 1\r\n\r\n`],
    ['an end with the connection', `${ok()}body`],
  ])('with %s ends, and is not reset', async (_what, answer) => {
    const wire = await H2Wire.to(edge.port)
    const end = wire.ask(Object.entries({ ...get, ':method': 'GET', ':scheme': 'https', ':authority': 'a' }))
    const server = await asked()
    server.write(answer)
    server.end()
    expect(await end).toEqual({ kind: 'answered', body: 'body' })
    wire.destroy()
  })

  test('reaches the client event by event, with its trailers at the end', async () => {
    const stream = session.request(get)
    const trailers = once(stream, 'trailers')
    const responded = once(stream, 'response')
    const server = await asked()
    server.write(ok(chunked, 'Trailer: X-Sum'))
    await responded
    for (const event of ['one', 'two']) {
      server.write(`3\r\n${event}\r\n`)
      const [bytes] = await once(stream, 'data')
      expect(String(bytes)).toBe(event)
    }
    server.write('0\r\nX-Sum: 1\r\nSet-Cookie: a\r\n\r\n')
    const [, , raw] = await trailers
    expect(raw).toEqual(['x-sum', '1'])
  })

  test.each([
    ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n', 200],
    ['GET', 'HTTP/1.1 204 No Content\r\n\r\n', 204],
    ['GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n', 304],
  ])('without a body has none: to %s', async (method, answer, status) => {
    const reply = h2Ask(session, { ...get, ':method': method })
    const server = await asked()
    server.write(answer)
    expect(await reply).toMatchObject({ status, body: '' })
    server.destroy()
  })

  test('that is cut off is seen to be', async () => {
    const reply = h2Ask(session, get)
    const server = await asked()
    server.write(`${ok(chunked)}4\r\npart\r\n`)
    server.end()
    await expect(reply).rejects.toThrow('NGHTTP2_INTERNAL_ERROR')
  })
})

describe('streams', () => {
  test('of one connection go side by side, a hundred at a time', async () => {
    const replies = Array.from({ length: 100 }, async (_, index) => {
      const body = String(index).repeat(20_000)
      const { status, body: answer } = await h2Ask(session, { ':path': `/${index}`, ':method': 'POST' }, body)
      const seen = JSON.parse(answer) as SeenRequest
      return [status, seen.target, seen.body === body]
    })
    expect(await Promise.all(replies)).toEqual(Array.from({ length: 100 }, (_, index) => [200, `/${index}`, true]))
  })

  test('do not wait for one that its backend keeps waiting', async () => {
    const slow = h2Ask(session, get)
    const server = await asked()
    expect((await h2Ask(session, { ':path': '/' })).status).toBe(200)
    server.write(`${ok('Content-Length: 4')}slow`)
    expect((await slow).body).toBe('slow')
  })

  test('may be read while they are still written', async () => {
    const stream = session.request(post)
    stream.write('one')
    const server = await asked()
    await server.saw('one')
    server.write(ok(chunked))
    await once(stream, 'response')
    server.write('3\r\ntwo\r\n')
    expect(String((await once(stream, 'data'))[0])).toBe('two')
    stream.end('three')
    await server.saw(/three\r\n0\r\n\r\n$/)
    server.write('0\r\n\r\n')
    await once(stream, 'close')
  })
})

describe('a client that resets its stream ends what it has asked for,', () => {
  const leave = { code: constants.NGHTTP2_CANCEL }

  test('before the answer', async () => {
    const stream = session.request(get)
    stream.on('error', () => {})
    const server = await asked()
    stream.close(leave.code)
    await server.ended
    expect((await h2Ask(session, { ':path': '/' })).status).toBe(200)
  })

  test('in the middle of the answer', async () => {
    const stream = session.request(get)
    stream.on('error', () => {})
    const server = await asked()
    server.write(`${ok(chunked)}4\r\npart\r\n`)
    await once(stream, 'data')
    stream.close(leave.code)
    await server.ended
  })

  test('in the middle of its upload, even if the backend does not read it', async () => {
    const stream = session.request({ ...post, 'content-length': 4_000_000 })
    stream.on('error', () => {})
    stream.write('begin')
    const server = await asked()
    server.socket.pause()
    stream.write(Buffer.alloc(3_000_000))
    stream.close(leave.code)
    server.socket.resume()
    await server.ended
  })

  test('with all others, when it closes the connection', async () => {
    const streams = [session.request(get), session.request(get)]
    for (const stream of streams) stream.on('error', () => {})
    const servers = [await asked(), await asked()]
    session.destroy()
    await Promise.all(servers.map(({ ended }) => ended))
  })
})

describe('an answer in the middle of an upload', () => {
  test.each([
    ['of the backend', 413, { ...post }],
    ['of the edge, over the limit by its length', 413, { ...post, 'content-length': 5_000_001 }],
  ])('%s reaches the client, and nobody waits for the rest', async (who, status, headers) => {
    const stream = session.request(headers, { endStream: false })
    const reply = h2Reply(stream)
    const closed = once(stream, 'close')
    if (who === 'of the backend') {
      stream.write('begin')
      const server = await asked()
      await server.saw('begin')
      server.write('HTTP/1.1 413 Too large\r\nConnection: close\r\nContent-Length: 6\r\n\r\nenough')
    }
    expect((await reply).status).toBe(status)
    await closed
    expect(stream.rstCode).toBe(constants.NGHTTP2_NO_ERROR)
  })

  test('of the edge, when it turns out to be over the limit', async () => {
    const stream = session.request(post, { endStream: false })
    stream.on('error', () => {})
    const reply = h2Reply(stream)
    stream.write(Buffer.alloc(5_000_001))
    const server = await asked()
    expect(await reply).toMatchObject({ status: 413 })
    await server.ended
  })

  test('is cut, when it turns out to be over the limit after the answer has begun', async () => {
    const stream = session.request(post, { endStream: false })
    const reply = h2Reply(stream)
    reply.catch(() => {})
    stream.write('begin')
    const server = await asked()
    server.write(`${ok(chunked)}4\r\npart\r\n`)
    await once(stream, 'data')
    stream.write(Buffer.alloc(5_000_001))
    await expect(reply).rejects.toThrow()
    expect(stream.rstCode).toBe(constants.NGHTTP2_INTERNAL_ERROR)
  })
})

test('a stop says goodbye, lets streams finish, and takes no new ones', async () => {
  const stopping = await startEdge({ ...edgeOptions(), env: { DRAIN_MS: '60000' } })
  const leaving = await h2Session(stopping.port, certificate.cert)
  const goodbye = once(leaving, 'goaway')
  const reply = h2Ask(leaving, get)
  const server = await asked()
  stopping.kill('SIGTERM')
  expect((await goodbye)[0]).toBe(constants.NGHTTP2_NO_ERROR)
  server.write(`${ok('Content-Length: 4')}done`)
  expect(await reply).toMatchObject({ status: 200, body: 'done' })
  expect(await stopping.exited).toEqual({ code: 0, signal: null })
})

test('clients of HTTP/2 that come back while the edge drains are served until the time is over', async () => {
  const stopping = await startEdge({ ...edgeOptions(), env: { DRAIN_MS: '5000' } })
  const first = await h2Session(stopping.port, certificate.cert)
  const goodbye = once(first, 'goaway')
  // An edge without clients does not wait for any: one is there all the time.
  const held = h2Ask(first, get)
  const server = await asked()
  const startMs = performance.now()
  stopping.kill('SIGTERM')
  await goodbye
  const idle = await h2Session(stopping.port, certificate.cert)
  const idleClosed = once(idle, 'close')
  server.write(`${ok('Content-Length: 4')}held`)
  expect((await held).body).toBe('held')
  const answers: number[] = []
  for (let elapsedMs = 0; elapsedMs < 1000; elapsedMs = performance.now() - startMs) {
    const again = await h2Session(stopping.port, certificate.cert)
    answers.push((await h2Ask(again, { ':path': '/' })).status)
    again.close()
    await once(again, 'close')
  }
  expect(new Set(answers)).toEqual(new Set([200]))
  await idleClosed
  expect(performance.now() - startMs).toBeGreaterThan(4900)
  expect(await stopping.exited).toEqual({ code: 0, signal: null })
  expect(performance.now() - startMs).toBeLessThan(60_000)
})
