import { hostname } from 'node:os'
import { version } from '@ipfleet/settings/version.ts'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { converse } from '@ipfleet/testing/raw-conversation.ts'
import { RecordingBackend } from '@ipfleet/testing/recording-backend.ts'
import type { LogLine } from '@ipfleet/testing/service-process.ts'
import { ask } from './ask.ts'
import { h2Ask, h2Session } from './h2-ask.ts'
import { type RunningEdge, startEdge } from './start-edge.ts'
import { testCertificate, type TestCertificate } from './test-certificate.ts'

/** What an edge writes of the requests that it has served or refused. */
let backend: RecordingBackend
let certificate: TestCertificate
let edge: RunningEdge
beforeAll(async () => {
  backend = await RecordingBackend.start()
  certificate = await testCertificate()
  edge = await startEdge({
    backends: [backend.port],
    server: 'max_body_bytes = 10',
    tables:
      '[rate_limit]\nmax_requests = 4\nkey_extractor = "header:x-client"\nknown = ["one", "told", "all", "canary-client"]',
    env: { LOG_LEVEL: 'trace' },
  })
})
afterAll(async () => {
  await edge.stop()
  await certificate[Symbol.asyncDispose]()
  await backend[Symbol.asyncDispose]()
})

let fences = 0

/** The lines of all requests of this client, when the edge has written them. */
async function linesOf(client: string, of = edge): Promise<readonly LogLine[]> {
  fences += 1
  await ask(of.port, `/edge/readyz`, { headers: { 'x-request-id': `fence-${fences}` } })
  await of.waitForLine(({ id }) => id === `fence-${fences}`)
  return of.lines().filter(({ msg, path }) => msg === 'request' && String(path).startsWith(`/${client}`))
}

describe('each request leaves one line', () => {
  test('that says what was asked, by whom, who answered, and how', async () => {
    const headers = { 'x-request-id': 'mine', 'x-client': 'one' }
    await ask(edge.port, '/one/b?q=1', { method: 'POST', body: 'hello', headers })
    expect(await linesOf('one')).toEqual([
      {
        level: 'info',
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
        service: 'edge',
        version,
        hostname: hostname(),
        id: 'mine',
        method: 'POST',
        path: '/one/b',
        status: 200,
        latency_us: expect.any(Number),
        client: '127.0.0.1',
        backend: `127.0.0.1:${backend.port}`,
        msg: 'request',
      },
    ])
  })

  test('under the id that the backend was told', async () => {
    await ask(edge.port, '/told', { headers: { 'x-client': 'told' } })
    const told = backend.requests.at(-1)?.fields.find(([name]) => name === 'X-Request-Id')?.[1]
    expect((await linesOf('told')).map(({ id }) => id)).toEqual([told])
  })

  test('whatever becomes of it', async () => {
    const body = 'more than ten bytes'
    const headers = { 'x-client': 'all' }
    await ask(edge.port, '/all/ok', { headers })
    await ask(edge.port, '/all/..;/stats', { headers })
    await ask(edge.port, '/all/large', { method: 'POST', body, headers })
    const chunked = { ...headers, 'transfer-encoding': 'chunked' }
    await ask(edge.port, '/all/chunks', { method: 'PUT', body, headers: chunked })
    await ask(edge.port, '/all/fourth', { headers })
    await ask(edge.port, '/all/fifth', { headers })
    await converse(edge.port, 'GET /all/bad HTTP/1.1\r\nHost: a/b\r\n\r\n')
    await converse(edge.port, 'TRACE /all/traced HTTP/1.1\r\nHost: a\r\n\r\n')
    const lines = await linesOf('all')
    expect(lines.map(({ path, status, level }) => [path, status, level])).toEqual([
      ['/all/ok', 200, 'info'],
      ['/all/..;/stats', 404, 'info'],
      ['/all/large', 413, 'info'],
      ['/all/chunks', 413, 'info'],
      ['/all/fourth', 200, 'info'],
      ['/all/fifth', 429, 'warn'],
      ['/all/bad', 400, 'info'],
      ['/all/traced', 405, 'info'],
    ])
    expect(new Set(lines.map(({ id }) => id)).size).toBe(lines.length)
  })

  test('with how many more backends had to be asked, or who was asked in vain and why', async () => {
    const tables =
      '[retry]\nattempts = 1\n[groups.gone]\nbackends = ["http://127.0.0.1:1"]\n' +
      '[[routes]]\nprefix = "/lost"\nupstreams = "gone"'
    await using failing = await startEdge({ backends: [1, backend.port], tables, env: { LOG_LEVEL: 'debug' } })
    await ask(failing.port, '/found/1')
    await ask(failing.port, '/found/2')
    const refused = await ask(failing.port, '/lost', { headers: { 'x-request-id': 'lost' } })
    const found = await linesOf('found', failing)
    expect(found.map(({ backend: who }) => who)).toEqual(Array(2).fill(`127.0.0.1:${backend.port}`))
    expect(found.map(({ retries }) => Number(retries ?? 0)).toSorted((one, other) => one - other)).toEqual([0, 1])
    expect(refused.headers['x-request-id']).toBe('lost')
    const why = { fault: 'unreachable', cause: expect.stringContaining('ECONNREFUSED') }
    expect(found.find(({ retries }) => retries === 1)).toMatchObject({ status: 200, level: 'info', ...why })
    expect(await linesOf('lost', failing)).toMatchObject([
      { id: 'lost', status: 502, level: 'warn', code: 'backend_unreachable', backend: '127.0.0.1:1', ...why },
    ])
  })

  test('of which that of a health check of a backend is for debugging, unless it failed', async () => {
    const tables =
      '[groups.gone]\nbackends = ["http://127.0.0.1:1"]\n[[routes]]\nprefix = "/readyz"\nupstreams = "gone"'
    await using probed = await startEdge({ backends: [backend.port], tables, env: { LOG_LEVEL: 'debug' } })
    for (const path of ['/livez', '/readyz', '/livezone']) await ask(probed.port, path)
    expect((await linesOf('', probed)).map(({ path, level }) => [path, level])).toEqual([
      ['/livez', 'debug'],
      ['/readyz', 'warn'],
      ['/livezone', 'info'],
      ['/edge/readyz', 'debug'],
    ])
  })

  test('over HTTP/2 as well', async () => {
    await using secure = await startEdge({ backends: [backend.port], tables: certificate.toml })
    const session = await h2Session(secure.port, certificate.cert)
    await h2Ask(session, { ':path': '/two?x', 'x-request-id': 'two' })
    await secure.waitForLine(({ id }) => id === 'two')
    session.destroy()
    await secure.stop()
    expect(secure.lines().filter(({ msg }) => msg === 'request')).toMatchObject([{ path: '/two', status: 200 }])
  })
})

test('no line holds a secret of a client or of a backend, at any level', async () => {
  const headers = {
    authorization: 'Bearer canary-bearer',
    'proxy-authorization': 'Basic canary-proxy',
    cookie: 'session=canary-cookie',
    'x-api-key': 'canary-key',
    'x-client': 'canary-client',
    'x-request-id': 'canary id',
    referer: 'http://a/?token=canary-referer',
  }
  await ask(edge.port, '/?token=canary-query', { headers })
  for (const answer of [
    'HTTP/1.1 200 OK\r\nSet-Cookie: a=canary-set\r\nContent-Length: 0\r\n\r\n',
    'HTTP/1.1 200 OK\r\nSet-Cookie: a=canary-set\nContent-Length: 0\r\n\r\n',
    'canary-greeting\r\n\r\n',
  ]) {
    backend.answer = (_request, socket) => void socket.end(answer)
    await ask(edge.port, '/%3Ftoken?token=canary-query', { headers })
  }
  await converse(edge.port, 'GET /?canary-raw HTTP/1.1\r\nHost: a\r\nCookie: canary\0\r\n\r\n')
  await linesOf('none')
  expect(edge.output()).toContain('"msg":"request"')
  expect(edge.output()).not.toContain('canary')
})
