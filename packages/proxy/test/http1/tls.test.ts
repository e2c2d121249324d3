import { getCACertificates, setDefaultCACertificates, type TlsOptions } from 'node:tls'
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals'
import { type TestCertificate, testCertificate } from '@ipfleet/testing/test-certificate.ts'
import { ConnectionPool } from '../../src/http1/connection-pool.ts'
import type { UpstreamTarget } from '../../src/http1/exchange-types.ts'
import { okWith, type Peer, ScriptedServer } from './scripted-server.ts'
import { ask, withPatience } from './test-upstream.ts'

const trustedBefore = getCACertificates('default')
const cleanups: (() => Promise<void> | void)[] = []
let own: TestCertificate

beforeAll(async () => {
  own = await testCertificate({ subject: 'upstream', names: ['good.example', '192.0.2.7'] })
  setDefaultCACertificates([...trustedBefore, own.cert])
})
afterAll(async () => {
  setDefaultCACertificates(trustedBefore)
  await own[Symbol.asyncDispose]()
})
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

async function serve(options: TlsOptions = {}): Promise<ScriptedServer> {
  const server = await ScriptedServer.start({ cert: own.cert, key: own.key, ...options })
  cleanups.push(() => server.stop())
  return server
}

function poolTo(target: UpstreamTarget): ConnectionPool {
  const pool = new ConnectionPool(target, withPatience({}))
  cleanups.push(() => pool.close())
  return pool
}

async function answer(peer: Peer, body: string): Promise<void> {
  await peer.request()
  peer.send(okWith(body))
}

test('a server is asked by the name that its certificate is for, and again by the same connection', async () => {
  const names: unknown[] = []
  const server = await serve({ ALPNProtocols: ['h2', 'http/1.1'] })
  const pool = poolTo({ ...server.target, tls: { servername: 'good.example' } })
  const first = ask(pool, '/1')
  const peer = await server.peer()
  if ('servername' in peer.socket && 'alpnProtocol' in peer.socket)
    names.push(peer.socket.servername, peer.socket.alpnProtocol)
  await answer(peer, '1')
  expect((await first.heard.over).body).toBe('1')
  expect(names).toEqual(['good.example', 'http/1.1'])
  const second = ask(pool, '/2', { method: 'POST', body: 'chunked' })
  second.exchange.write(Buffer.alloc(100_000))
  second.exchange.finish()
  await peer.request()
  await peer.takeThrough('\r\n0\r\n\r\n')
  peer.send(okWith('2'))
  expect((await second.heard.over).body).toBe('2')
  expect([pool.open, pool.idle, server.peers.length]).toEqual([1, 1, 1])
})

test.each(['bad.example', '192.0.2.8', '127.0.0.1'])(
  'a certificate that is not for %s is refused',
  async (servername) => {
    const server = await serve()
    const pool = poolTo({ ...server.target, tls: { servername } })
    const { heard } = ask(pool, '/')
    await heard.over
    expect(heard.events).toEqual(['failed unreachable'])
    expect(heard.fault?.cause).toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' })
    expect(server.peers[0]?.received ?? '').toBe('')
    expect(pool.open).toBe(0)
  },
)

test('a server may be named by an address', async () => {
  const server = await serve()
  const { heard } = ask(poolTo({ ...server.target, tls: { servername: '192.0.2.7' } }), '/')
  await answer(await server.peer(), 'ok')
  expect((await heard.over).body).toBe('ok')
})

test('a certificate that nobody vouches for is refused', async () => {
  setDefaultCACertificates(trustedBefore)
  cleanups.push(() => setDefaultCACertificates([...trustedBefore, own.cert]))
  const server = await serve()
  const { heard } = ask(poolTo({ ...server.target, tls: { servername: 'good.example' } }), '/')
  await heard.over
  expect(heard.events).toEqual(['failed unreachable'])
})

test('an answer may be long, and be held up', async () => {
  const server = await serve()
  const pool = poolTo({ ...server.target, tls: { servername: 'good.example' } })
  const { exchange, heard } = ask(
    pool,
    '/',
    {},
    {
      data: () => {
        exchange.pause()
        setImmediate(() => exchange.resume())
      },
    },
  )
  const peer = await server.peer()
  await peer.request()
  peer.send('HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n')
  peer.send(Buffer.alloc(3_000_000))
  await heard.over
  expect([heard.fault, heard.bodyBytes, pool.idle]).toEqual([undefined, 3_000_000, 1])
})

test('a server that goes is seen', async () => {
  const server = await serve()
  const pool = poolTo({ ...server.target, tls: { servername: 'good.example' } })
  const { heard } = ask(pool, '/')
  const peer = await server.peer()
  await peer.request()
  peer.socket.end()
  await heard.over
  expect([heard.events, pool.open]).toEqual([['failed lost'], 0])
})
