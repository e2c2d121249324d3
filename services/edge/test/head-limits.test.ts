import { type ClientHttp2Session, connect } from 'node:http2'
import type { Socket } from 'node:net'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { echo, RecordingBackend, type SeenRequest } from '@ipfleet/testing/recording-backend.ts'
import { h2Ask, h2Reply, h2Session } from './h2-ask.ts'
import { type RunningEdge, startEdge } from './start-edge.ts'
import { type TestCertificate, testCertificate } from './test-certificate.ts'
import { tlsAsk } from './tls-ask.ts'

/** How large a head may be: the same over HTTP/1.1 and HTTP/2, and the client is told when it is larger. */
let backend: RecordingBackend
let certificate: TestCertificate
let edge: RunningEdge
let session: ClientHttp2Session
beforeAll(async () => {
  backend = await RecordingBackend.start(answer)
  certificate = await testCertificate()
  edge = await startEdge({ backends: [backend.port], tables: certificate.toml })
  session = await h2Session(edge.port, certificate.cert)
})
afterAll(async () => {
  session.destroy()
  await edge.stop()
  await certificate[Symbol.asyncDispose]()
  await backend[Symbol.asyncDispose]()
})

type Fields = Readonly<Record<string, string>>

/** To `/many` with nearly as much of a head as is read of one. */
function answer(request: SeenRequest, socket: Socket): void {
  if (request.target !== '/many') return echo(request, socket)
  const cookies = `Set-Cookie: a=${'b'.repeat(85)}\r\n`.repeat(640)
  socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n${cookies}\r\nok`)
}

const many = (count: number, length: number): Fields =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`x-${index + 100}`, 'x'.repeat(length)]))

test.each<[string, number, string, Fields]>([
  ['a long field', 200, '/', { 'x-a': 'x'.repeat(16_000) }],
  ['many fields, nearly as long as they may be', 200, '/', many(95, 160)],
  ['a field over the limit', 431, '/', { 'x-a': 'x'.repeat(17_000) }],
  ['one far over it', 431, '/', { 'x-a': 'x'.repeat(60_000) }],
  ['fields over it together', 431, '/', many(40, 1000)],
  ['too many fields', 431, '/', many(110, 1)],
  ['a long target', 414, `/${'x'.repeat(10_000)}`, {}],
  ['one over the limit of the head', 431, `/${'x'.repeat(20_000)}`, {}],
])('%s is %i', async (_what, status, path, fields) => {
  const h2 = await h2Ask(session, { ':path': path, ...fields })
  const h1 = await tlsAsk(edge.port, { ca: certificate.cert, path, headers: fields })
  expect([h1.status, h2.status]).toEqual([status, status])
})

test('a head that is too large is told as any refusal, and ends its stream only', async () => {
  const reply = await h2Ask(session, { ':path': '/', 'x-request-id': 'too-large-1', 'x-a': 'x'.repeat(20_000) })
  expect(JSON.parse(reply.body)).toMatchObject({ status: 431, error: { title: 'Header too large' } })
  expect(reply.fields).toContainEqual(['x-request-id', 'too-large-1'])
  expect(await h2Ask(session, { ':path': '/after' })).toMatchObject({ status: 200 })
})

test.each([
  [16_000, 200],
  [20_000, 'reset'],
])('trailers of %i bytes: %s', async (length, outcome) => {
  const stream = session.request({ ':method': 'POST', ':path': `/${length}` }, { waitForTrailers: true })
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': 'x'.repeat(length) })).end('body')
  const reply = h2Reply(stream).then(
    ({ status }) => status,
    () => 'reset',
  )
  expect(await reply).toBe(outcome)
  // As a whole request, the backend has seen it only where it was answered.
  expect(backend.requests.some(({ target }) => target === `/${length}`)).toBe(outcome === 200)
})

test('an answer with a large head reaches the client, and its connection goes on', async () => {
  const h1 = await tlsAsk(edge.port, { ca: certificate.cert, path: '/many', maxHeaderSize: 100_000 })
  const settings = { maxHeaderListSize: 200_000 }
  const roomy = connect(`https://127.0.0.1:${edge.port}`, { ca: certificate.cert, settings, maxHeaderListPairs: 1000 })
  const h2 = await h2Ask(roomy, { ':path': '/many' })
  for (const { status, body } of [h1, h2]) expect([status, body]).toEqual([200, 'ok'])
  expect(h2.fields.filter(([name]) => name === 'set-cookie')).toHaveLength(640)
  expect(await h2Ask(roomy, { ':path': '/after' })).toMatchObject({ status: 200 })
  roomy.destroy()
})
