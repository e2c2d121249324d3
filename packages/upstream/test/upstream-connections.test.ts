import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { createServer as createTcpServer, type AddressInfo } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { type FakeIpinfo, startFakeIpinfo } from '@ipfleet/testing/fake-ipinfo.ts'
import type { Behaviour } from '@ipfleet/testing/fake-ipinfo/faults.ts'
import { type FaultyTcpProxy, startFaultyTcpProxy } from '@ipfleet/testing/faulty-tcp-proxy.ts'
import { testCertificate } from '@ipfleet/testing/test-certificate.ts'
import type { Reply } from '../src/reply.ts'
import { ipinfo } from '../src/providers/ipinfo.ts'
import { UpstreamClient } from '../src/upstream-client.ts'
import type { UpstreamRequest } from '../src/upstream-request.ts'
import { until } from '@ipfleet/testing/until.ts'

const secret = 'canary-77c1'
const patienceMs = 10_000

let fake: FakeIpinfo
/** Between client and fake, to count connections. */
let wire: FaultyTcpProxy
let client: UpstreamClient

beforeEach(async () => {
  fake = await startFakeIpinfo()
  wire = await startFaultyTcpProxy({ targetPort: fake.port })
  client = clientTo(wire.port)
})

afterEach(async () => {
  client.close()
  await wire.close()
  await fake.close()
})

function clientTo(
  port: number,
  {
    scheme = 'http',
    host = '127.0.0.1',
    ...options
  }: { scheme?: string; host?: string; maxConnectionLifeMs?: number } = {},
): UpstreamClient {
  const baseUrl = `${scheme}://${host}:${port}`
  return new UpstreamClient({
    provider: ipinfo({ legacy: baseUrl, api: baseUrl }),
    userAgent: 'ipfleet/test',
    maxBodyBytes: 32_768,
    maxSockets: 4,
    ...options,
  })
}

function ask(from = client, withinMs = patienceMs, what: Partial<UpstreamRequest> = {}): Promise<Reply> {
  const request: UpstreamRequest = { method: 'GET', surface: 'legacy', path: '/8.8.8.8', expected: 'json', ...what }
  return from.ask(request, secret, performance.now() + withinMs)
}

async function portOf(server: { listen(port: number, host: string): unknown; address(): unknown }): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server as Server, 'listening')
  return (server.address() as AddressInfo).port
}

describe('connections', () => {
  test('one after the other, requests use the same one', async () => {
    for (let turn = 0; turn < 10; turn += 1) {
      expect((await ask()).kind).toBe('answered')
    }
    expect(wire.accepted).toBe(1)
  })

  test('there are never more than the cap, and all requests are served', async () => {
    const replies = await Promise.all(Array.from({ length: 40 }, () => ask()))
    expect(replies.every(({ kind }) => kind === 'answered')).toBe(true)
    expect(wire.accepted).toBeLessThanOrEqual(4)
  })

  test.each(['/8.8.8.8', '/me'])(
    'to %s have a longest life, also busy ones, so that a name which moves is followed',
    async (path) => {
      const brief = clientTo(wire.port, { maxConnectionLifeMs: 0 })
      try {
        for (let turn = 0; turn < 3; turn += 1) await ask(brief, patienceMs, { path })
        expect(wire.accepted).toBe(3)
        await until(() => wire.connections === 0)
      } finally {
        brief.close()
      }
    },
  )

  test('are made to a name, at whichever of its addresses upstream listens', async () => {
    const named = clientTo(wire.port, { host: 'localhost' })
    try {
      expect((await ask(named)).kind).toBe('answered')
    } finally {
      named.close()
    }
  })

  test('are not made to a server whose certificate is not trusted', async () => {
    await using certificate = await testCertificate()
    const server = createTlsServer({ key: certificate.key, cert: certificate.cert }, (socket) => socket.destroy())
    server.on('tlsClientError', () => {})
    const secure = clientTo(await portOf(server), { scheme: 'https' })
    try {
      expect(await ask(secure)).toMatchObject({
        kind: 'failed',
        code: 'upstream_unreachable',
        detail: expect.stringContaining('CERT'),
      })
    } finally {
      secure.close()
      server.close()
      await once(server, 'close')
    }
  })

  test.each<Behaviour>([
    { kind: 'hang' },
    { kind: 'hang-after-headers' },
    { kind: 'reset' },
    { kind: 'reset-mid-body' },
    { kind: 'truncated' },
    { kind: 'endless' },
    // More on the wire than buffers hold; a smaller bomb arrives whole, and its connection stays in use.
    { kind: 'gzip-bomb', bytes: 16 * 1024 ** 3 },
  ])('none is left open after upstream does this: $kind', async (behaviour) => {
    fake.behave(behaviour)
    // As many as there are sockets: Node's agent opens an idle one for a request that gave up in the queue.
    const replies = await Promise.all(Array.from({ length: 4 }, () => ask(client, 300)))
    expect(replies.map((reply) => reply.kind)).toEqual(['failed', 'failed', 'failed', 'failed'])
    await until(() => wire.connections === 0)
    fake.heal()
    expect((await ask()).kind).toBe('answered')
  })

  test.each(['garbage', 'html', 'redirect', '429-storm', '403-storm'] as const)(
    'a whole answer leaves its connection in use, even: %s',
    async (kind) => {
      fake.behave({ kind })
      await ask()
      await ask()
      expect([wire.accepted, wire.connections]).toEqual([1, 1])
    },
  )

  test('a request that was cut off by upstream does not spoil the next', async () => {
    await ask()
    await wire.mode('reset')
    expect(await ask()).toMatchObject({ kind: 'failed', code: 'upstream_unreachable' })
    await wire.mode('pass')
    expect((await ask()).kind).toBe('answered')
  })

  test('a request is asked again only once, when an idle connection and then a new one end without a word', async () => {
    await ask()
    fake.behave({ kind: 'reset' })
    expect(await ask()).toEqual({ kind: 'failed', code: 'upstream_unreachable', detail: 'ECONNRESET' })
    expect([fake.calls.length, wire.accepted]).toEqual([3, 2])
  })

  test('a handshake that never ends is covered by the deadline', async () => {
    const silent = createTcpServer((socket) => socket.on('error', () => {}).resume())
    const secure = clientTo(await portOf(silent), { scheme: 'https' })
    try {
      expect(await ask(secure, 250)).toMatchObject({ kind: 'failed', code: 'upstream_timeout' })
    } finally {
      secure.close()
      silent.close()
      await once(silent, 'close')
    }
  })

  test.each<[string, string, string]>([
    ['what is no HTTP', 'SSH-2.0-OpenSSH_9.9\r\n', 'no HTTP/1 answer'],
    ['headers without end', `HTTP/1.1 200 OK\r\nx: ${'x'.repeat(70_000)}`, 'the head of the answer is too long'],
    [
      'two lengths',
      'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}',
      'Content-Length stands twice',
    ],
    ['no chunk', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n', 'a chunk size is malformed'],
  ])('%s is invalid', async (_, bytes, detail) => {
    const server = createTcpServer((socket) => socket.on('error', () => {}).once('data', () => socket.end(bytes)))
    const odd = clientTo(await portOf(server))
    try {
      expect(await ask(odd)).toEqual({ kind: 'failed', code: 'upstream_invalid', detail })
    } finally {
      odd.close()
      server.close()
      await once(server, 'close')
    }
  })
})

describe('a connection that upstream gives up while it lies idle', () => {
  /** What the server does to the second request of a connection; the first of each is answered. */
  type Farewell = 'fin' | 'reset' | 'half an answer' | `HTTP/1.1 ${string}`
  let sent: string[]
  let server: ReturnType<typeof createTcpServer>
  let tired: UpstreamClient

  async function serve(farewell: Farewell): Promise<void> {
    sent = []
    server = createTcpServer((socket) => {
      let requests = 0
      socket
        .on('error', () => {})
        .on('data', (bytes) => {
          requests += 1
          sent.push(/^\S+ \S+/.exec(bytes.toString())?.[0] ?? '')
          if (requests === 1) socket.write(wholeAnswer)
          else if (farewell === 'reset') socket.resetAndDestroy()
          else if (farewell === 'fin') socket.end()
          else if (farewell === 'half an answer') socket.write(wholeAnswer.slice(0, 20), () => socket.resetAndDestroy())
          else socket.end(farewell)
        })
    })
    tired = clientTo(await portOf(server))
    expect((await ask(tired)).kind).toBe('answered')
  }

  afterEach(async () => {
    tired.close()
    server.close()
    await once(server, 'close')
  })

  test.each(['fin', 'reset'] as const)(
    '(%s) is no failure: a GET is asked again, once, on a new one',
    async (farewell) => {
      await serve(farewell)
      expect((await ask(tired, patienceMs, { path: '/8.8.8.8?again' })).kind).toBe('answered')
      expect(sent).toEqual(['GET /8.8.8.8', 'GET /8.8.8.8?again', 'GET /8.8.8.8?again'])
    },
  )

  const body = { bytes: Buffer.from('[]'), contentType: 'application/json' }
  const post = { method: 'POST', body, expected: 'object' } as const

  test('is a failure of a POST, which may have been acted on', async () => {
    await serve('reset')
    const map = { ...post, path: '/tools/map' }
    expect((await ask(tired, patienceMs, map)).kind).toBe('answered')
    const reply = await ask(tired, patienceMs, map)
    expect(reply).toEqual({ kind: 'failed', code: 'upstream_unreachable', detail: 'ECONNRESET' })
    expect(sent).toEqual(['GET /8.8.8.8', 'POST /tools/map', 'POST /tools/map'])
  })

  test.each(['/batch', '/batch/lite', '/batch?filter=1'])('%s only reads, and is asked again', async (path) => {
    await serve('reset')
    expect((await ask(tired, patienceMs, { ...post, path })).kind).toBe('answered')
    expect(sent).toEqual(['GET /8.8.8.8', `POST ${path}`, `POST ${path}`])
  })

  test.each([408, 421, 425])('and says so with %i is asked again on a new one', async (status) => {
    await serve(`HTTP/1.1 ${status} Later\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`)
    expect((await ask(tired, patienceMs, { path: '/8.8.8.8?again' })).kind).toBe('answered')
    expect((await ask(tired, patienceMs, { ...post, path: '/batch' })).kind).toBe('answered')
  })

  test('is a failure when a byte of the answer had come: it was read', async () => {
    await serve('half an answer')
    expect(await ask(tired)).toMatchObject({ kind: 'failed', code: 'upstream_unreachable' })
    expect(sent).toHaveLength(2)
  })
})

const record = '{"ip": "8.8.8.8"}'
const wholeAnswer = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${record.length}\r\n\r\n${record}`

describe('close', () => {
  test('ends idle connections, and later requests fail without a call', async () => {
    await ask()
    client.close()
    await until(() => wire.connections === 0)
    expect(await ask()).toEqual({ kind: 'failed', code: 'upstream_unreachable', detail: 'client closed' })
    expect(fake.calls).toHaveLength(1)
  })

  test('ends requests under way and those that wait for a socket, at once', async () => {
    fake.hold()
    const asked = Array.from({ length: 10 }, () => ask())
    await fake.waitForCalls(4)
    const startedMs = performance.now()
    client.close()
    const closed = { kind: 'failed', code: 'upstream_unreachable', detail: 'client closed' }
    expect(await Promise.all(asked)).toEqual(Array.from({ length: 10 }, () => closed))
    expect(performance.now() - startedMs).toBeLessThan(10_000)
    await until(() => wire.connections === 0)
    expect(fake.calls).toHaveLength(4)
  })

  test('may be called twice', () => {
    client.close()
    expect(() => client.close()).not.toThrow()
  })
})

describe('what travels', () => {
  let server: Server
  let heard: IncomingMessage[]
  let bodies: string[]
  let elsewhere: Server
  let strangers: number

  beforeEach(async () => {
    heard = []
    bodies = []
    strangers = 0
    elsewhere = createServer((_req, res) => {
      strangers += 1
      res.end()
    })
    const location = `http://127.0.0.1:${await portOf(elsewhere)}/`
    server = createServer((req, res) => {
      heard.push(req)
      req.on('data', (chunk: Buffer) => bodies.push(chunk.toString()))
      req.on('end', () => {
        if (req.url === '/moved') res.writeHead(307, { location }).end()
        else res.writeHead(200, { 'content-type': 'application/json' }).end('{}')
      })
    })
    client.close()
    client = clientTo(await portOf(server))
  })

  afterEach(async () => {
    client.close()
    const closed = [server, elsewhere].map((each) => once(each, 'close'))
    for (const each of [server, elsewhere]) {
      each.close()
      each.closeAllConnections()
    }
    await Promise.all(closed)
  })

  test('the key in one header, and nothing that is not ours', async () => {
    expect((await ask(client, patienceMs, { path: '/8.8.8.8?x=1' })).kind).toBe('answered')
    const [request] = heard as [IncomingMessage]
    expect([request.method, request.url]).toEqual(['GET', '/8.8.8.8?x=1'])
    expect(request.headers).toEqual({
      'user-agent': 'ipfleet/test',
      accept: 'application/json',
      'accept-encoding': expect.stringContaining('gzip'),
      authorization: `Bearer ${secret}`,
      host: request.headers.host,
    })
  })

  test('a body as it is, under its own content type', async () => {
    const body = { bytes: Buffer.from('1.1.1.1\n8.8.8.8\n'), contentType: 'text/plain' }
    expect((await ask(client, patienceMs, { method: 'POST', path: '/batch', body })).kind).toBe('answered')
    expect(heard[0]?.headers).toMatchObject({ 'content-type': 'text/plain', 'content-length': '16' })
    expect(bodies).toEqual(['1.1.1.1\n8.8.8.8\n'])
  })

  test('a redirect is not followed: the key goes nowhere else', async () => {
    expect(await ask(client, patienceMs, { path: '/moved' })).toMatchObject({ kind: 'failed', status: 307 })
    const body = { bytes: Buffer.from('[]'), contentType: 'application/json' }
    expect(await ask(client, patienceMs, { method: 'POST', path: '/moved', body })).toMatchObject({ kind: 'failed' })
    expect([heard.length, strangers]).toEqual([2, 0])
  })
})
