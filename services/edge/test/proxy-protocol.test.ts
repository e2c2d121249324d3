import { once } from 'node:events'
import { request } from 'node:http'
import { connect as connectTcp, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { connect as connectTls } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { isInstalled } from '@ipfleet/testing/is-installed.ts'
import { converse } from '@ipfleet/testing/raw-conversation.ts'
import type { ServiceProcess } from '@ipfleet/testing/service-process.ts'
import { until } from '@ipfleet/testing/until.ts'
import { ask } from './ask.ts'
import { h2Ask, h2Session } from './h2-ask.ts'
import { type HaproxyServer, startHaproxy } from './haproxy.ts'
import { startEchoBackend } from './start-echo-backend.ts'
import { type EdgeFile, edgeToml, type RunningEdge, startEdge } from './start-edge.ts'
import { testCertificate, type TestCertificate } from './test-certificate.ts'

/** The PROXY protocol (issue 17): 127.0.0.1 speaks it, and 127.0.0.2 does not. */
const withHaproxy = (await isInstalled('haproxy', 'its headers are not tried')) ? describe : describe.skip

let backend: ServiceProcess
let certificate: TestCertificate
let edge: RunningEdge
let secure: RunningEdge
beforeAll(async () => {
  certificate = await testCertificate()
  backend = await startEchoBackend()
  const env = { TRUST_PROXY: '192.0.2.99' }
  edge = await startEdge({ ...fileOf(['127.0.0.1'], 20), env })
  secure = await startEdge({ ...fileOf(['127.0.0.1'], 20, certificate.toml), env })
})
afterAll(async () => {
  await Promise.all([edge?.stop(), secure?.stop(), backend?.stop(), certificate?.[Symbol.asyncDispose]()])
})

const maxPerClient = 8
function fileOf(proxies: readonly string[], headerTimeoutSeconds: number, tls = ''): EdgeFile {
  const limits = `header_timeout_seconds = ${headerTimeoutSeconds}\nmax_connections_per_client = ${maxPerClient}`
  const server = `proxy_protocol = ${JSON.stringify(proxies)}\n${limits}`
  return { backends: [backend.port], server, tables: `[access]\ndeny = ["203.0.113.0/24"]\n${tls}` }
}

const v1 = (address: string): string => `PROXY TCP4 ${address} 198.51.100.1 56324 443\r\n`
const v2Of = (command: number, family: number, payload: readonly number[]): Buffer =>
  Buffer.from([...Buffer.from('\r\n\r\n\0\r\nQUIT\n'), command, family, 0, payload.length, ...payload])
const v2 = (address: string): Buffer =>
  v2Of(0x21, 0x11, [...address.split('.').map(Number), 198, 51, 100, 1, 0xdc, 0x04, 0x01, 0xbb])

const get = 'GET /a HTTP/1.1\r\nHost: h\r\n\r\n'
const last = 'GET /b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n'

interface Echo {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}
/** Also of a body in one chunk. */
const echoOf = (body: string): Echo => JSON.parse(body.slice(body.indexOf('{'), body.lastIndexOf('}') + 1)) as Echo

/** The header, then two requests ahead and a body. */
async function seen(header: string | Buffer, options: { dribble?: boolean } = {}): Promise<Echo[]> {
  const upload = `POST /c HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello${last}`
  const bytes = Buffer.concat([Buffer.from(header), Buffer.from(get + upload)])
  const { answers, end } = await converse(edge.port, bytes, options)
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
  expect(end).not.toBe('open')
  return answers.map(({ body }) => echoOf(body))
}

describe('a listed proxy says whom its connection is from', () => {
  test.each([
    ['version 1', v1('192.0.2.1'), '192.0.2.1'],
    ['version 1 of IPv6', 'PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n', '2001:db8::1'],
    ['version 2', v2('192.0.2.1'), '192.0.2.1'],
    ['version 1, UNKNOWN', 'PROXY UNKNOWN\r\n', '127.0.0.1'],
    ['version 2, LOCAL', v2Of(0x20, 0, []), '127.0.0.1'],
  ])('by %s', async (_how, header, address) => {
    const [first, second, third] = await seen(header)
    expect([first?.path, second?.path, third?.path, second?.body]).toEqual(['/a', '/c', '/b', 'hello'])
    for (const echo of [first, second, third]) {
      expect(echo?.headers).toMatchObject({ 'x-forwarded-for': address, 'x-real-ip': address })
    }
  })

  test.each([
    ['1', v1('192.0.2.1')],
    ['2', v2('192.0.2.1')],
  ])('by version %s, byte by byte', async (_version, header) => {
    const [first] = await seen(header, { dribble: true })
    expect(first?.headers['x-real-ip']).toBe('192.0.2.1')
  })

  test('the access list is about the client', async () => {
    const { answers } = await converse(edge.port, v1('203.0.113.7') + last)
    expect(answers.map(({ status }) => status)).toEqual([403])
  })

  test('TRUST_PROXY is about the client', async () => {
    const forwarded = last.replace('Host: h', 'Host: h\r\nX-Forwarded-For: 192.0.2.55')
    const from = async (peer: string): Promise<string | undefined> => {
      const { answers } = await converse(edge.port, v1(peer) + forwarded)
      return echoOf(answers[0]?.body ?? '').headers['x-real-ip']
    }
    expect([await from('192.0.2.99'), await from('192.0.2.1')]).toEqual(['192.0.2.55', '192.0.2.1'])
  })

  test('connections are counted for the client, and no longer when they are closed', async () => {
    const open = async (address: string): Promise<Socket> => {
      const socket = connectTcp(edge.port, '127.0.0.1')
      socket.on('error', () => {})
      socket.write(v1(address) + get)
      return socket
    }
    const own = await Promise.all(Array.from({ length: maxPerClient }, () => open('192.0.2.8')))
    await Promise.all(own.map((socket) => once(socket, 'data')))
    const { answers, end } = await converse(edge.port, v1('192.0.2.8') + last)
    expect([answers, end === 'open']).toEqual([[], false])
    expect((await converse(edge.port, v1('192.0.2.9') + last)).answers).toHaveLength(1)
    for (const socket of own) socket.destroy()
    await until(async () => (await converse(edge.port, v1('192.0.2.8') + last)).answers.length === 1)
  })
})

describe('what is not so is refused', () => {
  test.each([
    ['no header', last],
    ['a broken one', `PROXY TCP4 1.2.3.4\r\n${last}`],
    ['one of version 3', Buffer.concat([v2Of(0x31, 0x11, []), Buffer.from(last)])],
    ['two of them', v1('192.0.2.1') + v1('192.0.2.2') + last],
  ])('%s from a listed address', async (_what, bytes) => {
    const { answers, end } = await converse(edge.port, bytes)
    expect([answers.map(({ status }) => status), end === 'open']).toEqual([[400], false])
  })

  test.each([
    ['1', v1('192.0.2.1')],
    ['2', v2('192.0.2.1')],
  ])('a header of version %s from any other address', async (_version, header) => {
    const { answers } = await converse(edge.port, Buffer.concat([Buffer.from(header), Buffer.from(last)]), {
      from: '127.0.0.2',
    })
    expect(answers.map(({ status }) => status)).toEqual([400])
    expect((await ask(edge.port, '/', { from: '127.0.0.2' })).status).toBe(200)
  })

  test.each([
    ['1', v1('192.0.2.1')],
    ['2', v2('192.0.2.1')],
  ])(
    'a header of version %s where TLS is spoken, from any other address: in clear text, and in the log',
    async (_what, bytes) => {
      const { answers, end } = await converse(secure.port, bytes, { from: '127.0.0.2' })
      expect([answers.map(({ status }) => status), end === 'open']).toEqual([[400], false])
      const [, id] = /^x-request-id: (\S+)/im.exec(answers[0]?.head ?? '') ?? []
      await until(() => secure.output().includes(`id=${id}`) || secure.output().includes(`"id":"${id}"`))
    },
  )
})

/** What one header and a handshake behind it, in one write, get. */
async function named(header: string | Buffer, alpn: string): Promise<Socket> {
  const below = connectTcp(secure.port, '127.0.0.1')
  below.write(header)
  const socket = connectTls({ socket: below, ca: certificate.cert, servername: 'localhost', ALPNProtocols: [alpn] })
  await once(socket, 'secureConnect')
  return socket
}

describe('over TLS the header comes first', () => {
  test.each([
    ['1', v1('192.0.2.1')],
    ['2', v2('192.0.2.1')],
  ])('of version %s', async (_version, header) => {
    const socket = await named(header, 'http/1.1')
    socket.write(last)
    const answer = await text(socket)
    expect(answer).toContain('200 OK')
    expect(answer).toContain('"x-real-ip":"192.0.2.1"')
  })

  test('HTTP/2 sees it too', async () => {
    const session = await h2Session(secure.port, certificate.cert, await named(v2('192.0.2.1'), 'h2'))
    const { status, body } = await h2Ask(session, { ':path': '/' })
    session.close()
    expect([status, echoOf(body).headers['x-real-ip']]).toEqual([200, '192.0.2.1'])
  })

  test('a handshake without one is refused', async () => {
    const below = connectTcp(secure.port, '127.0.0.1')
    const socket = connectTls({ socket: below, ca: certificate.cert, servername: 'localhost' })
    await expect(once(socket, 'secureConnect')).rejects.toThrow()
  })
})

withHaproxy('HAProxy', () => {
  let haproxy: HaproxyServer
  beforeAll(async () => {
    haproxy = await startHaproxy({
      v1: `127.0.0.1:${edge.port} send-proxy check check-send-proxy`,
      v2: `127.0.0.1:${edge.port} send-proxy-v2 check check-send-proxy`,
      tls: `127.0.0.1:${secure.port} send-proxy-v2-ssl-cn`,
    })
  })
  afterAll(() => haproxy?.stop())

  test.each(['v1', 'v2'])('send-proxy, %s', async (name) => {
    const { status, body } = await ask(haproxy.ports[name] ?? 0, '/', { from: '127.0.0.5' })
    expect([status, echoOf(body).headers['x-real-ip']]).toEqual([200, '127.0.0.5'])
  })

  test('TLS within', async () => {
    const below = connectTcp({ port: haproxy.ports['tls'] ?? 0, host: '127.0.0.1', localAddress: '127.0.0.5' })
    const socket = connectTls({ socket: below, ca: certificate.cert, servername: 'localhost' })
    await once(socket, 'secureConnect')
    const req = request({ createConnection: () => socket, path: '/' }).end()
    const [res] = await once(req, 'response')
    expect(echoOf(await text(res)).headers['x-real-ip']).toBe('127.0.0.5')
  })
})

test('after a reload others speak it, and a header that does not come in time is 408', async () => {
  await edge.rewrite(edgeToml(fileOf(['127.0.0.2'], 1)))
  edge.kill('SIGHUP')
  await edge.waitForLine(({ msg }) => msg === 'configuration taken over')
  expect((await ask(edge.port)).status).toBe(200)
  const { answers, end } = await converse(edge.port, v1('192.0.2.1').slice(0, 20), { from: '127.0.0.2' })
  expect([answers.map(({ status }) => status), end === 'open']).toEqual([[408], false])
})

test('a connection whose header never comes does not hold up the end', async () => {
  const socket = connectTcp(secure.port, '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  // The header may take 20 s, and a stop that takes over 15 ends with another code.
  expect((await secure.stop()).code).toBe(0)
})
