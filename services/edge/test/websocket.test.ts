import { once } from 'node:events'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { ScriptedBackend } from '@ipfleet/testing/scripted-backend.ts'
import { until } from '@ipfleet/testing/until.ts'
import { acceptance, clientFrame, closeFrame, textFrame } from '@ipfleet/testing/websocket-server.ts'
import { Wire } from '@ipfleet/testing/wire.ts'
import { ask } from './ask.ts'
import { type RunningEdge, startEdge } from './start-edge.ts'

/** What switches protocols becomes a tunnel. */
let backend: ScriptedBackend
let edge: RunningEdge
let client: Wire | undefined
const servers: Wire[] = []
beforeAll(async () => {
  backend = await ScriptedBackend.start()
  edge = await startEdge({ backends: [backend.port], server: 'tunnel_idle_seconds = 8' })
})
afterEach(() => {
  client?.destroy()
  for (const server of servers.splice(0)) server.destroy()
})
afterAll(async () => {
  await edge.stop()
  await backend[Symbol.asyncDispose]()
})

/** The backend's end of the next connection. */
async function accepted(): Promise<Wire> {
  const server = await backend.accept()
  servers.push(server)
  return server
}

const handshake = (...fields: readonly string[]): string =>
  [
    'GET /chat?room=1 HTTP/1.1',
    'Host: a',
    'Connection: keep-alive, Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ...fields,
    '',
    '',
  ].join('\r\n')

/** Both ends of a tunnel that stands. */
async function tunnel(to = edge): Promise<{ client: Wire; server: Wire }> {
  client = await Wire.to(to.port)
  client.write(handshake())
  const server = await accepted()
  server.write(acceptance(await server.saw('\r\n\r\n')))
  await client.saw('\r\n\r\n')
  return { client, server }
}

const openTunnels = async (port: number): Promise<number> =>
  Number(/^ipfleet_edge_open_tunnels (\d+)$/m.exec((await ask(port, '/metrics')).body)?.[1])

describe('a WebSocket', () => {
  test('of a browser works: handshake, messages both ways, and a close that both agree on', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${edge.port}/chat?room=1`, ['v2.chat', 'v1.chat'])
    const server = await accepted()
    const request = await server.saw('\r\n\r\n')
    expect(request).toMatch(/^GET \/chat\?room=1 HTTP\/1\.1\r\n/)
    expect(request).toMatch(/^X-Forwarded-For: 127\.0\.0\.1\r$/m)
    server.write(acceptance(request, 'Sec-WebSocket-Protocol: v1.chat'))
    await once(socket, 'open')
    expect(socket.protocol).toBe('v1.chat')
    socket.send('to the server')
    expect(await until(() => clientFrame(server))).toEqual({ opcode: 1, text: 'to the server' })
    server.write(textFrame('to the client'))
    const [message] = await once(socket, 'message')
    expect(message.data).toBe('to the client')
    const closed = once(socket, 'close')
    server.write(closeFrame(1001))
    server.end()
    const [{ code, wasClean }] = await closed
    expect([code, wasClean]).toEqual([1001, true])
  })

  test('says what protocol it is, who answered, and nothing that is for one hop only', async () => {
    client = await Wire.to(edge.port)
    client.write(handshake('Keep-Alive: timeout=5'))
    const server = await accepted()
    const request = await server.saw('\r\n\r\n')
    expect(request.match(/^(?:connection|upgrade|keep-alive): .*(?=\r$)/gim)?.toSorted()).toEqual([
      'Connection: Upgrade',
      'Upgrade: websocket',
    ])
    server.write(acceptance(request, 'Keep-Alive: timeout=5', 'Set-Cookie: a=1', 'Set-Cookie: b=2'))
    const answer = await client.saw('\r\n\r\n')
    expect(answer).toMatch(/^HTTP\/1\.1 101 Switching Protocols\r\n/)
    expect(answer).toContain('Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n')
    expect(answer).toContain(`X-Backend: 127.0.0.1:${backend.port}\r\n`)
    expect(answer.match(/^(?:connection|upgrade|keep-alive|set-cookie): .*(?=\r$)/gim)?.toSorted()).toEqual([
      'Connection: Upgrade',
      'Set-Cookie: a=1',
      'Set-Cookie: b=2',
      'Upgrade: websocket',
    ])
  })

  test('loses nothing of what is said before the other side has agreed', async () => {
    client = await Wire.to(edge.port)
    client.write(`${handshake()}early from the client, `)
    const server = await accepted()
    const request = await server.saw('\r\n\r\n')
    client.write('more of it')
    server.write(`${acceptance(request)}early from the server`)
    await client.saw('\r\n\r\nearly from the server')
    await server.saw('\r\n\r\nearly from the client, more of it')
  })

  test('carries bytes of all kinds, as many as there are', async () => {
    const { client: near, server } = await tunnel()
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
    const many = Buffer.concat(Array.from({ length: 2000 }, () => bytes))
    near.write(many)
    server.write(many)
    for (const wire of [near, server]) {
      const start = wire.text.indexOf('\r\n\r\n') + 4
      await until(() => wire.text.length - start >= many.length)
      expect(Buffer.from(wire.text.slice(start), 'latin1').equals(many)).toBe(true)
    }
  })
})

describe('a tunnel', () => {
  test('has two directions, of which each ends by itself', async () => {
    const { client: near, server } = await tunnel()
    near.write('last words')
    near.end()
    await server.saw('last words')
    expect(await server.ended).toBe('closed')
    server.write('an answer to the last words')
    await near.saw('an answer to the last words')
    server.end()
    expect(await near.ended).toBe('closed')
    await until(async () => (await openTunnels(edge.port)) === 0)
  })

  test.each(['client', 'server'] as const)('ends for both when the %s breaks it', async (side) => {
    const ends = await tunnel()
    const other = side === 'client' ? ends.server : ends.client
    ends[side].reset()
    await other.ended
    other.destroy()
    await until(async () => (await openTunnels(edge.port)) === 0)
  })

  test('in which nothing passes for too long is closed; one that is used is not', async () => {
    const idle = await tunnel()
    const used = await tunnel()
    const talking = setInterval(() => used.server.write('.'), 100)
    await Promise.all([idle.client.ended, idle.server.ended])
    clearInterval(talking)
    used.client.write('still here')
    await used.server.saw('still here')
    used.client.destroy()
  })

  test('leaves one line in the log, when it ends', async () => {
    const from = edge.lines().length
    const { client: near } = await tunnel()
    near.destroy()
    await edge.waitForLine(
      (line) => edge.lines().indexOf(line) >= from && line['path'] === '/chat' && line['status'] === 101,
    )
  })

  test('opened before or after the edge is told to stop goes on for DRAIN_MS', async () => {
    const stopping = await startEdge({ backends: [backend.port], env: { DRAIN_MS: '5000' } })
    const before = await tunnel(stopping)
    const startMs = performance.now()
    stopping.kill('SIGTERM')
    await stopping.waitForLine(({ msg }) => msg === 'stopping')
    const after = await tunnel(stopping)
    for (const { client: near, server } of [before, after]) {
      near.write('still open')
      await server.saw('still open')
    }
    await Promise.all([before, after].flatMap(({ client: near, server }) => [near.ended, server.ended]))
    expect(performance.now() - startMs).toBeGreaterThan(4900)
    before.client.destroy()
    expect(await stopping.exited).toEqual({ code: 0, signal: null })
    expect(performance.now() - startMs).toBeLessThan(60_000)
  })
})

describe('a switch that is not made', () => {
  test.each([200, 403, 426])('is answered with what the backend says: %i', async (status) => {
    client = await Wire.to(edge.port)
    client.write(handshake())
    const server = await accepted()
    await server.saw('\r\n\r\n')
    const fields = 'Connection: close\r\nContent-Length: 6\r\nSec-WebSocket-Version: 13'
    server.write(`HTTP/1.1 ${status} Well\r\n${fields}\r\n\r\nno way`)
    await client.saw('no way')
    expect(client.text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} Well\r\n`))
    expect(client.text).toMatch(/^Sec-WebSocket-Version: 13\r$/m)
    expect(await client.ended).toBe('closed')
  })

  test('may be a long answer, and is whole', async () => {
    client = await Wire.to(edge.port)
    client.write(`${handshake()}early words that nobody reads`)
    const server = await accepted()
    await server.saw('\r\n\r\n')
    const body = 'x'.repeat(3_000_000)
    server.write(`HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
    await client.ended
    expect(client.text.length - client.text.indexOf('\r\n\r\n') - 4).toBe(body.length)
  })

  test.each(['destroy', 'reset'] as const)('because the client has left (%s): the backend is told', async (leave) => {
    client = await Wire.to(edge.port)
    client.write(handshake())
    const server = await accepted()
    await server.saw('\r\n\r\n')
    client[leave]()
    await server.ended
  })

  test('because the backend is gone is a 502', async () => {
    client = await Wire.to(edge.port)
    client.write(handshake())
    const server = await accepted()
    await server.saw('\r\n\r\n')
    server.reset()
    expect(await client.saw('\r\n\r\n')).toMatch(/^HTTP\/1\.1 502 /)
    expect(await client.ended).toBe('closed')
  })
})

/** The request as the backend gets it; it has to be an ordinary one. */
async function passedOn(request: string, to = edge): Promise<string> {
  client = await Wire.to(to.port)
  client.write(request)
  const server = await accepted()
  const text = await server.saw('\r\n\r\n')
  server.write('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok')
  await client.saw('\r\n\r\nok')
  return text
}

/** As Docker's clients ask for the streams of `exec`. */
const exec = (body: string, ...fields: readonly string[]): string =>
  ['POST /exec/1/start HTTP/1.1', 'Host: a', 'Connection: Upgrade', 'Upgrade: tcp', ...fields, '', body].join('\r\n')

describe('a switch that a request with a body asks for', () => {
  const switched = 'HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n'

  test.each([
    ['Content-Length', exec('{"Tty":true}', 'Content-Length: 12'), '{"Tty":true}'],
    ['chunks', exec('5\r\nhello\r\n0\r\n\r\n', 'Transfer-Encoding: chunked'), '5\r\nhello\r\n0\r\n\r\n'],
    ['a body of none', exec('', 'Content-Length: 0'), ''],
    ['no body', exec(''), ''],
  ])('is made behind the whole body: %s', async (_what, request, body) => {
    client = await Wire.to(edge.port)
    client.write(request)
    const server = await accepted()
    const text = await server.saw(`\r\n\r\n${body}`)
    expect(text).toMatch(/^POST \/exec\/1\/start HTTP\/1\.1\r\n[^]*^Upgrade: tcp\r$/m)
    server.write(`${switched}from the server`)
    await client.saw('\r\n\r\nfrom the server')
    client.write('from the client')
    await server.saw(`${body}from the client`)
  })

  test.each([
    ['Content-Length', 'Content-Length: 5', 'hello', 'hello'],
    ['chunks', 'Transfer-Encoding: chunked', '5\r\nhello\r\n0\r\n\r\n', '5\r\nhello\r\n0\r\n\r\n'],
  ])('nothing behind the body is passed on before it is made: %s', async (_what, framing, body, passed) => {
    client = await Wire.to(edge.port)
    const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n'
    client.write(exec(body + smuggled, framing))
    const server = await accepted()
    const text = await server.saw(`\r\n\r\n${passed}`)
    // A request of its own behind it: what the first brought along would have come before.
    await ask(edge.port, '/metrics')
    expect(text.endsWith(passed)).toBe(true)
    server.write(switched)
    await server.saw(passed + smuggled)
  })

  test('nothing behind the body is served when it is declined', async () => {
    client = await Wire.to(edge.port)
    client.write(exec('helloGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n', 'Content-Length: 5'))
    const server = await accepted()
    await server.saw('\r\n\r\nhello')
    server.write('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno')
    expect(await client.ended).toBe('closed')
    expect(client.text).toMatch(/^HTTP\/1\.1 404 [^]*\r\n\r\nno$/)
    expect(server.text).not.toContain('smuggled')
  })

  test('is refused when the server makes it in the middle of the body', async () => {
    client = await Wire.to(edge.port)
    const half = 'x'.repeat(100_000)
    client.write(exec(half, 'Content-Length: 200000'))
    const server = await accepted()
    await server.saw('xxx')
    server.write(switched)
    expect(await client.saw('\r\n\r\n')).toMatch(/^HTTP\/1\.1 502 /)
  })

  test.each([
    ['Content-Length with chunks', exec('0\r\n\r\n', 'Content-Length: 5', 'Transfer-Encoding: chunked')],
    ['a length that is none', exec('hello', 'Content-Length: 5, 5')],
    ['a coding besides chunked', exec('0\r\n\r\n', 'Transfer-Encoding: gzip, chunked')],
  ])('is 400 when its body can be read in two ways: %s', async (_what, request) => {
    client = await Wire.to(edge.port)
    client.write(request)
    expect(await client.saw('\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /)
    expect(await client.ended).toBe('closed')
  })
})

describe('a request that asks for a switch', () => {
  test('survives that its client leaves in the middle of the body, and so does the edge', async () => {
    for (const leave of ['reset', 'destroy', 'end'] as const) {
      client = await Wire.to(edge.port)
      client.write(exec('x'.repeat(100_000), 'Content-Length: 200000'))
      const server = await accepted()
      await server.saw('xxx')
      client[leave]()
      await server.ended
    }
    expect((await ask(edge.port, '/edge/readyz')).status).toBe(200)
  })

  test('has its body and what is behind it in parts, in any of which anything may begin', async () => {
    client = await Wire.to(edge.port)
    const bytes = exec('5\r\nhello\r\n0\r\n\r\n', 'Transfer-Encoding: chunked')
    for (const byte of bytes) {
      client.write(byte)
      await new Promise((resolve) => setImmediate(resolve))
    }
    const server = await accepted()
    await server.saw('0\r\n\r\n')
    client.write('early')
    server.write('HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n')
    await client.saw('\r\n\r\n')
    client.write(', late')
    await server.saw('0\r\n\r\nearly, late')
    server.write('bye')
    server.end()
    await client.saw('\r\n\r\nbye')
    expect(await client.ended).toBe('closed')
  })

  // The edge waits for the rest of a body, so they are tried side by side.
  test.concurrent.each([
    ['a chunk size that is none', 'x\r\nhello\r\n0\r\n\r\n'],
    ['a bare LF', '5\nhello\r\n0\r\n\r\n'],
    ['a chunk over its size', '5\r\nhelloworld\r\n0\r\n\r\n'],
  ])('is refused, and never whole to the backend, when its chunks cannot be read: %s', async (_what, body) => {
    await using own = await ScriptedBackend.start()
    await using strict = await startEdge({ backends: [own.port], server: 'body_timeout_seconds = 1' })
    const sender = await Wire.to(strict.port)
    sender.write(exec(`${body}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`, 'Transfer-Encoding: chunked'))
    expect(await sender.saw('\r\n\r\n')).toMatch(/^HTTP\/1\.1 40[08] /)
    expect(await sender.ended).toBe('closed')
    const fence = await Wire.to(strict.port)
    fence.write('GET /fence HTTP/1.1\r\nHost: a\r\n\r\n')
    let server: Wire
    do {
      server = await own.accept()
      await server.saw('\r\n\r\n')
      expect(server.text).not.toMatch(/0\r\n\r\n$|smuggled/)
    } while (!server.text.startsWith('GET /fence'))
    fence.destroy()
  })
})

describe('no switch is asked for', () => {
  test.each([
    ['h2c', handshake().replace('websocket', 'h2c')],
    ['h2c among others', handshake().replace('websocket', 'h2c, websocket')],
    ['TLS', handshake().replace('websocket', 'TLS/1.2')],
    ['HTTP/1.0', handshake().replace('HTTP/1.1', 'HTTP/1.0')],
    ['no Connection: Upgrade', handshake().replace('keep-alive, Upgrade', 'keep-alive')],
  ])('with %s', async (_what, request) => {
    const text = await passedOn(request)
    expect(text).not.toMatch(/^(?:upgrade|connection|http2-settings):/im)
  })

  test('with upgrades = false', async () => {
    await using plain = await startEdge({ backends: [backend.port], server: 'upgrades = false' })
    const text = await passedOn(handshake(), plain)
    expect(text).toMatch(/^GET \/chat\?room=1 HTTP\/1\.1\r\n/)
    expect(text).not.toMatch(/^(?:upgrade|connection):/im)
  })
})
