import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { afterEach, expect, test } from '@jest/globals'
import { BatchClient } from './batch-client.ts'
import { FleetClient } from './fleet-client.ts'

let server: Server | undefined
const never = new AbortController().signal

afterEach(() => {
  server?.closeAllConnections()
  server?.close()
})

async function clientOf(listener: RequestListener, timeoutMs = 5000): Promise<BatchClient> {
  server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const fleet = new FleetClient(`http://127.0.0.1:${port}`, 'fleet-token')
  return new BatchClient({ fleet, timeoutMs, liveReservePercent: 15 })
}

test('asks for a batch with its reserve and its token, and counts what was cached', async () => {
  let seen: IncomingMessage | undefined
  let body: unknown
  const client = await clientOf(async (req, res) => {
    seen = req
    body = await json(req)
    res.setHeader('Ipfleet-Items', 'l1=1, l2=2, collapsed=3, upstream=4, refused=5')
    res.setHeader('Ipfleet-Units', '4')
    res.setHeader('Ipfleet-Live-Rate', '12.5')
    res.end(JSON.stringify({ '8.8.8.8': { ip: '8.8.8.8' } }))
  })
  const reply = await client.ask(['8.8.8.8'], never)
  expect(reply).toMatchObject({ kind: 'answered', cached: 6, units: 4, liveRate: 12.5 })
  expect([seen?.method, seen?.url, body]).toEqual(['POST', '/batch', ['8.8.8.8']])
  expect(seen?.headers).toMatchObject({ authorization: 'Bearer fleet-token', 'ipfleet-live-reserve': '15' })
})

test.each([
  [503, { 'Retry-After': '7' }, { reason: 'busy', retryAfterMs: 7000 }],
  [429, {}, { reason: 'busy' }],
  [500, {}, { reason: 'failed' }],
  [403, {}, { reason: 'refused' }],
  [302, { Location: '/elsewhere' }, { reason: 'refused' }],
])('status %i is told with what it asks for', async (status, headers, told) => {
  const client = await clientOf((_req, res) => res.writeHead(status, headers).end())
  expect(await client.ask(['8.8.8.8'], never)).toMatchObject({ kind: 'failed', ...told })
})

test.each([
  [502, 'Upstream failed', 'passing'],
  [504, 'Upstream timeout', 'passing'],
  [503, 'Not available without an API key', 'error'],
])('a batch refused with %i (%s) says so of each of its addresses', async (status, title, kind) => {
  const body = JSON.stringify({ status, error: { title, message: 'Why' } })
  const client = await clientOf((_req, res) => res.writeHead(status).end(body))
  const reply = await client.ask(['8.8.8.8', '9.9.9.9'], never)
  expect(reply).toMatchObject({ kind: 'answered', cached: 0, units: 0 })
  expect(reply.kind === 'answered' && [...reply.values.values()]).toMatchObject([
    { kind, error: { title } },
    { kind, error: { title } },
  ])
})

test('a fleet that has no time says nothing of the addresses', async () => {
  const body = JSON.stringify({ status: 503, error: { title: 'All keys are cooling down', message: 'Wait' } })
  const client = await clientOf((_req, res) => res.writeHead(503, { 'Retry-After': '2' }).end(body))
  expect(await client.ask(['8.8.8.8'], never)).toMatchObject({ kind: 'failed', reason: 'busy', retryAfterMs: 2000 })
})

test('an answer that is no JSON, none that ends, and no server', async () => {
  const garbled = await clientOf((_req, res) => res.end('<html>'))
  expect(await garbled.ask(['8.8.8.8'], never)).toMatchObject({ kind: 'failed', reason: 'invalid' })
  server?.close()
  server?.closeAllConnections()
  expect(await garbled.ask(['8.8.8.8'], never)).toMatchObject({ kind: 'failed', reason: 'unreachable' })
  const silent = await clientOf(() => {}, 50)
  expect(await silent.ask(['8.8.8.8'], never)).toEqual({ kind: 'failed', reason: 'timeout' })
})

test('is stopped by its signal', async () => {
  const client = await clientOf(() => {})
  const stop = new AbortController()
  const asked = client.ask(['8.8.8.8'], stop.signal)
  stop.abort(new Error('enough'))
  await expect(asked).rejects.toThrow('enough')
})
