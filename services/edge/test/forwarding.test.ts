import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { converse, type RawAnswer } from '@ipfleet/testing/raw-conversation.ts'
import { RecordingBackend, type SeenRequest, valuesOf } from '@ipfleet/testing/recording-backend.ts'
import { type RunningEdge, startEdge } from './start-edge.ts'

/** What becomes of a request between the client and the backend. */
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

async function send(bytes: string, { port } = edge): Promise<RawAnswer> {
  const { answers } = await converse(port, bytes, { answers: 1 })
  const [answer] = answers
  if (answer === undefined) throw new Error('no answer')
  return answer
}

/** The request as the backend saw it, of one with these lines. */
async function forwarded(lines: readonly string[], body = '', to = edge): Promise<SeenRequest> {
  const { status } = await send([...lines, '', body].join('\r\n'), to)
  const seen = backend.requests.at(-1)
  if (status !== 200 || seen === undefined) throw new Error(`not forwarded: ${status}`)
  return seen
}

const get = (...fields: string[]): string[] => ['GET / HTTP/1.1', 'Host: example.test', ...fields]

describe('a request keeps', () => {
  test('its method, target, and its fields in their order and spelling', async () => {
    const target = '/a/../b%2F;x=1//c?q=%20&q=2&=%00'
    const lines = [`REPORT ${target} HTTP/1.1`, 'Host: Example.test:8080', 'X-b: 1', 'ACCEPT: */*', 'x-B:2']
    const { method, fields, ...request } = await forwarded([...lines, 'Accept-Encoding: gzip, br'])
    expect([method, request.target]).toEqual(['REPORT', target])
    expect(fields.slice(0, 5)).toEqual([
      ['Host', 'Example.test:8080'],
      ['X-b', '1'],
      ['ACCEPT', '*/*'],
      ['x-B', '2'],
      ['Accept-Encoding', 'gzip, br'],
    ])
  })

  test.each(['PUT', 'PATCH', 'DELETE', 'OPTIONS', 'GET'])('the body of a %s', async (method) => {
    const lines = [`${method} /thing HTTP/1.1`, 'Host: a', 'Content-Length: 5']
    expect(await forwarded(lines, 'hello')).toMatchObject({ method, body: 'hello' })
    expect(valuesOf(backend.requests[0]!, 'content-length')).toEqual(['5'])
  })

  test('the length of a POST that has none, or no body', async () => {
    const empty = await forwarded(['POST / HTTP/1.1', 'Host: a', 'Content-Length: 0'])
    expect(valuesOf(empty, 'content-length')).toEqual(['0'])
    const none = await forwarded(['POST / HTTP/1.1', 'Host: a'])
    expect([valuesOf(none, 'content-length'), valuesOf(none, 'transfer-encoding')]).toEqual([[], []])
  })

  test('a query of eight kilobytes; a longer one is 414', async () => {
    const target = `/?q=${'x'.repeat(8188)}`
    expect((await forwarded([`GET ${target} HTTP/1.1`, 'Host: a'])).target).toBe(target)
    expect((await send(`GET ${target}x HTTP/1.1\r\nHost: a\r\n\r\n`)).status).toBe(414)
  })

  test('every byte of its values', async () => {
    const value = `caf\xe9 \x80\xff \tend`
    expect(valuesOf(await forwarded(get(`X-Name: ${value}`)), 'x-name')).toEqual([value])
  })

  test('all of its cookies, as one field', async () => {
    const seen = await forwarded(get('Cookie: a=1; b=2', 'X-Between: y', 'Cookie: c=3'))
    expect(valuesOf(seen, 'cookie')).toEqual(['a=1; b=2; c=3'])
  })
})

describe('fields for this hop only', () => {
  test('end here', async () => {
    const hop = ['Keep-Alive: timeout=5', 'Proxy-Connection: keep-alive', 'Proxy-Authorization: Basic eDp5']
    const seen = await forwarded(
      get(...hop, 'TE: gzip;q=0.5', 'HTTP2-Settings: AAMAAABk', 'Connection: keep-alive, TE'),
    )
    const names = 'keep-alive proxy-connection proxy-authorization te http2-settings connection upgrade'.split(' ')
    expect(names.flatMap((name) => valuesOf(seen, name))).toEqual([])
  })

  test('are also those that Connection names, in any letter case', async () => {
    const seen = await forwarded(
      get(
        'X-Secret: 1',
        'Connection: x-SECRET',
        'x-other: 2',
        'Cookie: a=1',
        'Connection: cookie , X-None',
        'Cookie: b=2',
      ),
    )
    expect(['x-secret', 'cookie', 'connection'].flatMap((name) => valuesOf(seen, name))).toEqual([])
    expect(valuesOf(seen, 'x-other')).toEqual(['2'])
  })

  test('are never those that say where the request goes, where it ends, and who sent it', async () => {
    const connection = 'Connection: Host, Content-Length, X-Forwarded-For, X-Real-IP, X-Request-Id, Via, X-Proxy'
    const lines = ['POST / HTTP/1.1', 'Host: a', 'Content-Length: 2', connection, 'X-Request-Id: mine']
    const seen = await forwarded(lines, 'ok')
    expect(seen.body).toBe('ok')
    const kept = 'host content-length x-forwarded-for x-real-ip via x-proxy'.split(' ')
    expect(kept.map((name) => valuesOf(seen, name))).toEqual([
      ['a'],
      ['2'],
      ['127.0.0.1'],
      ['127.0.0.1'],
      ['1.1 ipfleet-edge'],
      ['ipfleet'],
    ])
    expect(valuesOf(seen, 'x-request-id')).toEqual([expect.stringMatching(/^[\da-f-]{36}$/)])
  })
})

const told = (seen: SeenRequest): string[] =>
  'x-forwarded-for x-forwarded-proto x-forwarded-host x-real-ip x-proxy'
    .split(' ')
    .map((n) => valuesOf(seen, n).join('|'))

describe('who asked', () => {
  const claims = [
    'X-Forwarded-For: 203.0.113.9, 10.0.0.1',
    'X-Forwarded-For: 198.51.100.7',
    'X-Forwarded-Proto: https',
    'X-Forwarded-Host: evil.test',
    'X-Real-IP: 203.0.113.9',
    'Forwarded: for=203.0.113.9',
    'X_Forwarded_For: 203.0.113.9',
    'X-Real_IP: 203.0.113.9',
    'X-Forwarded-Port: 443',
    'X-Forwarded-Server: evil.test',
    'X-Proxy: evil',
  ]
  test('is told by the connection, whatever a stranger claims', async () => {
    const seen = await forwarded(get(...claims))
    expect(told(seen)).toEqual(['127.0.0.1', 'http', 'example.test', '127.0.0.1', 'ipfleet'])
    const others = seen.fields.filter(([name]) => /^(?:forwarded|.*_.*|x-forwarded-(?:port|server))$/i.test(name))
    expect(others).toEqual([])
  })

  test('is told by a trusted proxy: its chain is carried on, and the last untrusted hop is the client', async () => {
    await using trusting = await startEdge({
      backends: [backend.port],
      env: { TRUST_PROXY: '127.0.0.1,198.51.100.0/24' },
    })
    const seen = await forwarded(get(...claims.slice(0, 4)), '', trusting)
    const chain = '203.0.113.9, 10.0.0.1, 198.51.100.7, 127.0.0.1'
    expect(told(seen)).toEqual([chain, 'https', 'evil.test', '10.0.0.1', 'ipfleet'])
    const plain = await forwarded(get('X-Forwarded-Proto: gopher'), '', trusting)
    expect(told(plain)).toEqual(['127.0.0.1', 'http', 'example.test', '127.0.0.1', 'ipfleet'])
  })
})

describe('Host', () => {
  test('is the backend’s where the configuration says so, and X-Forwarded-Host what the client asked for', async () => {
    await using naming = await startEdge({ backends: [backend.port], upstreams: 'host = "backend"' })
    const seen = await forwarded(get(), '', naming)
    expect(valuesOf(seen, 'host')).toEqual([`127.0.0.1:${backend.port}`])
    expect(valuesOf(seen, 'x-forwarded-host')).toEqual(['example.test'])
  })

  test('is the backend’s where an HTTP/1.0 client has named none', async () => {
    const seen = await forwarded(['GET / HTTP/1.0'])
    expect(valuesOf(seen, 'host')).toEqual([`127.0.0.1:${backend.port}`])
    expect(valuesOf(seen, 'x-forwarded-host')).toEqual([])
    expect(valuesOf(seen, 'via')).toEqual(['1.0 ipfleet-edge'])
  })
})

describe('X-Request-Id', () => {
  test.each(['a-Client:id_1.2', 'x'.repeat(64)])('%s is kept', async (id) => {
    expect(valuesOf(await forwarded(get(`X-Request-Id: ${id}`)), 'x-request-id')).toEqual([id])
  })

  test.each(['x'.repeat(65), 'two words', 'a"b', 'caf\xe9'])('%j is replaced', async (id) => {
    const [made] = valuesOf(await forwarded(get(`X-Request-Id: ${id}`)), 'x-request-id')
    expect(made).toMatch(/^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/)
  })
})

test('the trace goes on, and what cannot be read as one does not', async () => {
  const traceparent = 'cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-later'
  const seen = await forwarded(get(`traceparent: ${traceparent}`, 'tracestate: a=1'))
  expect([valuesOf(seen, 'traceparent'), valuesOf(seen, 'tracestate')]).toEqual([[traceparent], ['a=1']])
  const unreadable = await forwarded(get('traceparent: 00-XYZ', 'tracestate: a=1'))
  expect([valuesOf(unreadable, 'traceparent'), valuesOf(unreadable, 'tracestate')]).toEqual([[], []])
})

test('Via goes on with this hop', async () => {
  const seen = await forwarded(get('Via: 1.0 fred', 'Via: 1.1 p.example.net'))
  expect(valuesOf(seen, 'via')).toEqual(['1.0 fred, 1.1 p.example.net, 1.1 ipfleet-edge'])
})

test('an edge that stands before itself says so instead of asking for ever', async () => {
  await using circling = await startEdge({ backends: [backend.port] })
  const file = `[server]\nlisten = "127.0.0.1:0"\n[upstreams]\nbackends = ["${circling.url}"]\n`
  await circling.rewrite(file)
  circling.kill('SIGHUP')
  await circling.waitForLine(({ msg }) => msg === 'configuration taken over')
  const { status, body } = await send('GET / HTTP/1.1\r\nHost: a\r\n\r\n', circling)
  expect([status, JSON.parse(body)]).toMatchObject([508, { status: 508, error: { title: 'Loop detected' } }])
})
