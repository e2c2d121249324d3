import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { hardenServer, httpServerOptions } from './harden-server.ts'
import { listen } from './listen.ts'
import { refuse, requestGuard } from './request-guard.ts'

const guard = requestGuard({ maxTargetLength: 200 })
const reached: string[] = []

/** @param timeoutMs of a request, head and body */
function guarded(timeoutMs: number): Server {
  const limits = { headersTimeoutMs: timeoutMs, requestTimeoutMs: timeoutMs }
  const options = { ...httpServerOptions(limits), connectionsCheckingInterval: 50 }
  const server = createServer(options, (req, res) => {
    const fault = guard(req)
    if (fault !== undefined) return void refuse(res, fault)
    reached.push(req.url ?? '')
    req.resume().on('end', () => res.end('served'))
  })
  hardenServer(server, limits)
  return server
}

const [patient, brief] = [guarded(60_000), guarded(300)]
let [port, briefPort] = [0, 0]

beforeAll(async () => {
  port = await listen(patient, { port: 0, host: '127.0.0.1' })
  briefPort = await listen(brief, { port: 0, host: '127.0.0.1' })
})
afterAll(async () => {
  for (const server of [patient, brief]) {
    server.close()
    server.closeAllConnections()
    await once(server, 'close')
  }
})

/** Sends bytes as they are and reads until the server ends the connection. */
async function answersTo(bytes: string, at = port): Promise<string> {
  const socket = connect({ port: at, host: '127.0.0.1' })
  socket.write(bytes, 'latin1')
  return await text(socket)
}

const host = 'Host: fleet.example:8080\r\n'
const chunked = 'Transfer-Encoding: chunked\r\n'
const end = 'Connection: close\r\n\r\n'
const manyHeaders = Array.from({ length: 101 }, (_, index) => `X-${index}: 1\r\n`).join('')

test.each([
  ['two Hosts', 400, `GET / HTTP/1.1\r\n${host}${host}\r\n`],
  ['two Hosts in other letter case', 400, `GET / HTTP/1.1\r\n${host}hOST: a\r\n\r\n`],
  ['no Host', 400, 'GET / HTTP/1.1\r\n\r\n'],
  ['an empty Host', 400, 'GET / HTTP/1.1\r\nHost: \r\n\r\n'],
  ['a Host with userinfo and path', 400, 'GET / HTTP/1.1\r\nHost: a/b@c\r\n\r\n'],
  ['a Host with a space', 400, 'GET / HTTP/1.1\r\nHost: a b\r\n\r\n'],
  ['a malformed Host on HTTP/1.0', 400, 'GET / HTTP/1.0\r\nHost: a/b\r\n\r\n'],
  ['absolute form', 400, `GET http://other.example/ HTTP/1.1\r\n${host}\r\n`],
  ['absolute form with userinfo', 400, `GET http://u:p@fleet.example/ HTTP/1.1\r\n${host}\r\n`],
  ['the target *', 400, `GET * HTTP/1.1\r\n${host}\r\n`],
  ['OPTIONS *, where it is not answered', 400, `OPTIONS * HTTP/1.1\r\n${host}\r\n`],
  ['a fragment', 400, `GET /a#b HTTP/1.1\r\n${host}\r\n`],
  ['no version', 400, 'GET /\r\n\r\n'],
  ['HTTP/2.0 in the request line', 400, `GET / HTTP/2.0\r\n${host}\r\n`],
  ['the preface of HTTP/2', 400, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['TRACE', 405, `TRACE / HTTP/1.1\r\n${host}\r\n`],
  ['CONNECT', 405, `CONNECT fleet.example:443 HTTP/1.1\r\n${host}\r\n`],
  ['an unknown method', 400, `FOO / HTTP/1.1\r\n${host}\r\n`],
  ['another transfer coding', 400, `POST / HTTP/1.1\r\n${host}Transfer-Encoding: xchunked\r\n\r\n`],
  ['two transfer codings', 400, `POST / HTTP/1.1\r\n${host}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
  ['chunked twice', 400, `POST / HTTP/1.1\r\n${host}${chunked}${chunked}\r\n0\r\n\r\n`],
  ['chunked, identity', 400, `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`],
  ['chunked on HTTP/1.0', 400, `POST / HTTP/1.0\r\n${host}${chunked}\r\n0\r\n\r\n`],
  ['a space before the colon', 400, `POST / HTTP/1.1\r\n${host}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`],
  ['both framings', 400, `POST / HTTP/1.1\r\n${host}Content-Length: 3\r\n${chunked}\r\n0\r\n\r\n`],
  ['two Content-Lengths', 400, `POST / HTTP/1.1\r\n${host}Content-Length: 0\r\nContent-Length: 0\r\n\r\n`],
  [
    'a Content-Length that no number can be',
    400,
    `POST / HTTP/1.1\r\n${host}Content-Length: 99999999999999999\r\n\r\n`,
  ],
  ['a malformed Content-Length', 400, `POST / HTTP/1.1\r\n${host}Content-Length: +5\r\n\r\nhello`],
  ['a folded field', 400, `GET / HTTP/1.1\r\n${host}X: a\r\n b\r\n\r\n`],
  ['bare line feeds', 400, 'GET / HTTP/1.1\nHost: a\n\n'],
  ['NUL in the target', 400, `GET /a\0 HTTP/1.1\r\n${host}\r\n`],
  ['raw UTF-8 in the target', 400, `GET /\u00c3\u00a9 HTTP/1.1\r\n${host}\r\n`],
  [
    'a chunk extension of 17 KB',
    400,
    `POST / HTTP/1.1\r\n${host}${chunked}\r\n5;${'a'.repeat(17_000)}\r\nhello\r\n0\r\n\r\n`,
  ],
  ['a target over the limit', 414, `GET /${'a'.repeat(200)} HTTP/1.1\r\n${host}\r\n`],
  ['a target of 20 KB', 431, `GET /${'a'.repeat(20_000)} HTTP/1.1\r\n${host}\r\n`],
  ['over 100 fields', 431, `GET / HTTP/1.1\r\n${host}${manyHeaders}\r\n`],
  ['a header that never ends', 408, `GET / HTTP/1.1\r\n${host}`],
  ['a body that never comes', 408, `POST / HTTP/1.1\r\n${host}Content-Length: 5\r\n\r\nhel`],
])('%s is answered %d, once, as JSON, and the connection ends', async (_what, status, bytes) => {
  const answer = await answersTo(bytes, status === 408 ? briefPort : port)
  const [head = '', body = ''] = answer.split('\r\n\r\n')
  expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
  expect(head).toMatch(/content-type: application\/json; charset=utf-8/i)
  expect(head).toMatch(/connection: close/i)
  expect(JSON.parse(body)).toMatchObject({ status, error: { title: expect.any(String) } })
  expect(answer.match(/HTTP\/1\.1 /g)).toHaveLength(1)
})

test.each([
  ['a plain request', `GET /plain HTTP/1.1\r\n${host}${end}`],
  ['an IPv6 Host', `GET /plain HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\n${end}`],
  ['a container name as Host', `GET /plain HTTP/1.1\r\nHost: lookup_1\r\n${end}`],
  ['a Host with an empty port', `GET /plain HTTP/1.1\r\nHost: fleet.example:\r\n${end}`],
  ['a Host with the zone of its address', `GET /plain HTTP/1.1\r\nHost: [fe80::1%eth0]:8080\r\n${end}`],
  ['a Host with that zone escaped', `GET /plain HTTP/1.1\r\nHost: [fe80::1%25eth0]\r\n${end}`],
  ['a Host with escapes', `GET /plain HTTP/1.1\r\nHost: b%c3%bccher.example\r\n${end}`],
  ['a Host with bytes over 0x7f', `GET /plain HTTP/1.1\r\nHost: b\xfccher.example\r\n${end}`],
  ['HTTP/1.0 without Host', 'GET /plain HTTP/1.0\r\n\r\n'],
  ['a chunked body', `POST /plain HTTP/1.1\r\n${host}${chunked}${end}5\r\nhello\r\n0\r\n\r\n`],
  ['100 fields', `GET /plain HTTP/1.1\r\n${host}${manyHeaders.split('\r\n').slice(3).join('\r\n')}${end}`],
])('%s is served', async (_what, bytes) => {
  reached.length = 0
  expect(await answersTo(bytes)).toMatch(/^HTTP\/1.1 200 OK[^]*served/)
  expect(reached).toEqual(['/plain'])
})

test('a refused request reaches nothing behind the guard', async () => {
  reached.length = 0
  await answersTo(`POST /x HTTP/1.1\r\n${host}Transfer-Encoding: xchunked\r\n\r\nGET /smuggled HTTP/1.1\r\n${host}\r\n`)
  expect(reached).toEqual([])
})
