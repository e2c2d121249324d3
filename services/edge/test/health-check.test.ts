import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from '@jest/globals'
import { ScriptedBackend } from '@ipfleet/testing/scripted-backend.ts'
import { standStill } from '@ipfleet/testing/stand-still.ts'
import { until } from '@ipfleet/testing/until.ts'
import { checkHealth, type HealthVerdict } from '../src/backends/health-check.ts'
import { backend, groupConfig, GroupFixture } from './upstream-group-fixture.ts'

const servers: Server[] = []

afterEach(async () => {
  for (const server of servers.splice(0)) {
    const closed = new Promise((resolve) => server.close(resolve))
    server.closeAllConnections()
    await closed
  }
})

async function served(listener: RequestListener): Promise<number> {
  const server = createServer(listener)
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

interface CheckOptions {
  /** Default: more than a busy machine takes. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

function check(port: number, options: CheckOptions = {}): Promise<HealthVerdict> {
  const { timeoutMs = 20_000, signal = new AbortController().signal } = options
  const target = { address: '127.0.0.1', port }
  return checkHealth({ target, authority: `replica.test:${port}`, path: '/readyz?full', timeoutMs }, signal)
}

test('asks for the path, under the configured name, on a connection of its own', async () => {
  const seen: IncomingMessage[] = []
  const ports = new Set<number | undefined>()
  const port = await served((req, res) => {
    seen.push(req)
    ports.add(req.socket.remotePort)
    res.end('ready')
  })
  expect([await check(port), await check(port)]).toEqual([{ kind: 'good' }, { kind: 'good' }])
  expect(seen[0]).toMatchObject({ method: 'GET', url: '/readyz?full' })
  expect(seen[0]?.headers).toMatchObject({ host: `replica.test:${port}`, connection: 'close' })
  expect(ports.size).toBe(2)
})

test.each([
  [204, { kind: 'good' }],
  [301, { kind: 'bad', reason: 'answered 301' }],
  [503, { kind: 'bad', reason: 'answered 503' }],
])('an answer of %i', async (status, verdict) => {
  const port = await served((_req, res) => res.writeHead(status).end())
  expect(await check(port)).toEqual(verdict)
})

test.each<[string, RequestListener]>([
  ['no answer', () => {}],
  ['half of one', (_req, res) => void res.writeHead(200, { 'content-length': 10 }).write('half')],
  [
    'one that drips',
    (_req, res) => {
      const dripping = setInterval(() => res.write('drop'), 20)
      res.on('close', () => clearInterval(dripping))
    },
  ],
])('%s within the time is bad, and takes no longer than that', async (_what, listener) => {
  const port = await served(listener)
  const startedMs = performance.now()
  const verdict = await check(port, { timeoutMs: 200 })
  expect(verdict).toEqual({ kind: 'bad', reason: 'no answer within 200 ms', isSilent: true })
  expect(performance.now() - startedMs).toBeLessThan(15_000)
})

test('a check has its time although this process stands still for as long', async () => {
  const port = await served((_req, res) => res.end('ready'))
  const verdict = check(port, { timeoutMs: 1000 })
  standStill(1200)
  expect(await verdict).toEqual({ kind: 'good' })
})

test('a refused connection, a cut answer and an upgrade are bad', async () => {
  const cut = await served((_req, res) => {
    res.writeHead(200, { 'content-length': 10 }).write('half')
    setImmediate(() => res.destroy())
  })
  expect(await check(cut)).toEqual({ kind: 'bad', reason: 'the connection ended in the middle of the answer' })
  const upgrading = await served((_req, res) => {
    res.writeHead(101, { connection: 'upgrade', upgrade: 'websocket' }).end()
  })
  expect(await check(upgrading)).toMatchObject({ kind: 'bad' })
  const port = await served(() => {})
  await new Promise((resolve) => servers.pop()?.close(resolve))
  expect(await check(port)).toEqual({ kind: 'bad', reason: 'ECONNREFUSED' })
})

const strange = 'X-Name: \x01\x1b\xe9'
test.each<[string, string, HealthVerdict]>([
  ['lines that end in LF alone', 'HTTP/1.1 200 OK\nContent-Length: 2\n\nok', { kind: 'good' }],
  ['no reason', 'HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n', { kind: 'good' }],
  ['control characters in a field', `HTTP/1.1 200 OK\r\n${strange}\r\nContent-Length: 0\r\n\r\n`, { kind: 'good' }],
  ['an empty line before it', '\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', { kind: 'good' }],
  ['an interim one before it', 'HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 204 None\r\n\r\n', { kind: 'good' }],
  ['version 1.0 and no length', 'HTTP/1.0 200 OK\r\n\r\nok', { kind: 'good' }],
  [
    'two lengths',
    'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 1\r\n\r\n',
    { kind: 'bad', reason: 'Content-Length stands twice' },
  ],
  ['another protocol', 'SSH-2.0-x\r\n', { kind: 'bad', reason: 'no HTTP/1 answer' }],
])('is judged as its answers to clients are: an answer with %s', async (_what, bytes, verdict) => {
  await using server = await ScriptedBackend.start()
  const checked = check(server.port)
  const wire = await server.accept()
  await wire.saw('\r\n\r\n')
  wire.write(bytes)
  wire.end()
  expect(await checked).toEqual(verdict)
  expect(await wire.ended).toBe('closed')
})

test('a check that nobody waits for any more ends', async () => {
  const port = await served(() => {})
  const closing = new AbortController()
  const verdict = check(port, { signal: closing.signal })
  closing.abort()
  expect((await verdict).kind).toBe('bad')
})

test('a replica that is not ready gets no requests, until it is', async () => {
  let status = 503
  const sick = await served((_req, res) => res.writeHead(status).end())
  const well = await served((_req, res) => res.end())
  const health = { path: '/readyz', intervalMs: 20, timeoutMs: 20_000, healthyAfter: 2, unhealthyAfter: 2 }
  const backends = [sick, well].map((port) => backend('127.0.0.1', { port }))
  const fixture = new GroupFixture(groupConfig({ backends, health }), { checkHealth })
  await fixture.start()
  try {
    await until(() => fixture.states()[`127.0.0.1:${sick}`] === 'unhealthy')
    expect(fixture.share(`127.0.0.1:${sick}`, 10)).toBe(0)
    status = 200
    await until(() => fixture.states()[`127.0.0.1:${sick}`] === 'up')
    expect(fixture.share(`127.0.0.1:${sick}`, 10)).toBe(5)
    expect(fixture.told().slice(2)).toEqual([
      ['unhealthy', `127.0.0.1:${sick}`, 'answered 503'],
      ['healthy', `127.0.0.1:${sick}`],
    ])
  } finally {
    fixture.group.close()
  }
})
