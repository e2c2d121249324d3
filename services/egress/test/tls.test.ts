import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { connect, type ConnectionOptions } from 'node:tls'
import { promisify } from 'node:util'
import { isInstalled } from '@ipfleet/testing/is-installed.ts'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { testCertificate, type TestCertificate } from '@ipfleet/testing/test-certificate.ts'
import { until } from '@ipfleet/testing/until.ts'
import { Wire } from '@ipfleet/testing/wire.ts'
import { HttpsProxyAgent } from 'https-proxy-agent'
import { get } from 'node:https'
import { okHead, ProxyHarness, requestHead } from './proxy-harness.ts'

/** TLS between the client and the proxy: all that can be said without it can be said in it. */
const run = promisify(execFile)
const withCurl = (await isInstalled('curl', 'that it reaches a proxy by TLS is not tested')) ? describe : describe.skip

let first: TestCertificate
let second: TestCertificate
let proxy: ProxyHarness
let port = 0
const wires: Wire[] = []
beforeAll(async () => {
  first = await testCertificate({ subject: 'first' })
  second = await testCertificate({ subject: 'second' })
  const tls = { TLS_LISTEN_ADDR: '127.0.0.1:0', TLS_CERT: first.certFile, TLS_KEY: first.keyFile }
  const pool = { IP_POOL: '127.0.0.2', MAX_CONNECTIONS_PER_CLIENT: '5' }
  proxy = await ProxyHarness.start({ ...tls, ...pool, PROXY_USER: 'me', PROXY_PASS: 'p@ss' })
  port = Number(proxy.egress.lines().find(({ msg }) => msg === 'listening for TLS')?.['port'])
})
afterEach(() => {
  for (const wire of wires.splice(0)) wire.destroy()
  proxy.clear()
})
afterAll(async () => {
  await proxy[Symbol.asyncDispose]()
  await first[Symbol.asyncDispose]()
  await second[Symbol.asyncDispose]()
})

const authorization = `Proxy-Authorization: Basic ${Buffer.from('me:p@ss').toString('base64')}`

/** A client of the listener for TLS that has sent this. */
async function clientWith(bytes: string, tls?: ConnectionOptions): Promise<Wire> {
  const client = await Wire.to(port, tls)
  wires.push(client)
  client.write(bytes)
  return client
}

function secureClient(bytes = ''): Promise<Wire> {
  return clientWith(bytes, { ca: [first.cert, second.cert] })
}

/** The name of the certificate, and the protocol, that a handshake ends with. */
async function handshake(options: ConnectionOptions): Promise<readonly [string, string | false | null]> {
  const socket = connect({ host: '127.0.0.1', port, ca: [first.cert, second.cert], ...options })
  await once(socket, 'secureConnect')
  const ended = [String(socket.getPeerCertificate().subject.CN), socket.alpnProtocol] as const
  socket.destroy()
  return ended
}

test('a tunnel stands, leaves from the pool, carries both ways, and each direction ends by itself', async () => {
  const client = await secureClient(requestHead(`CONNECT ${proxy.authority}`, authorization))
  expect(await client.saw('\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 .*\r\nX-Egress-IP: 127\.0\.0\.2\r\n/)
  const server = await proxy.accept()
  expect(server.socket.remoteAddress).toBe('127.0.0.2')
  client.write('last words')
  client.socket.end()
  await server.saw('last words')
  expect(await server.ended).toBe('closed')
  server.write('an answer to them')
  server.socket.end()
  await client.saw('an answer to them')
  await client.ended
  const line = await proxy.egress.waitForLine(({ msg }) => msg === 'tunnel closed')
  expect(line).toMatchObject({ user: 'me', source: '127.0.0.2', client: '127.0.0.1', bytes_up: 10, bytes_down: 17 })
})

test('requests for URLs follow each other on a connection, after a 407 too', async () => {
  const client = await secureClient(requestHead(`GET ${proxy.url('/a')}`))
  expect(await client.saw(/}\s*$/)).toMatch(/^HTTP\/1\.1 407 /)
  for (const path of ['/b', '/c']) {
    client.write(requestHead(`GET ${proxy.url(path)}`, authorization))
    const server = await proxy.accept()
    expect(await server.saw('\r\n\r\n')).toMatch(new RegExp(`^GET ${path} HTTP/1.1\r\n`))
    server.write(`${okHead('Content-Length: 2')}${path}`)
    await client.saw(new RegExp(`${path}$`))
  }
})

test('SOCKS5 is spoken in it', async () => {
  const client = await secureClient('\x05\x01\x02')
  await client.saw('\x05\x02')
  client.write('\x01\x02me\x04p@ss')
  await client.saw('\x01\x00')
  client.write(
    `\x05\x01\x00\x01\x7f\x00\x00\x01${String.fromCharCode(proxy.origin.port >> 8, proxy.origin.port & 255)}`,
  )
  await client.saw('\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00')
  expect((await proxy.accept()).socket.remoteAddress).toBe('127.0.0.2')
})

test.each<[string, ConnectionOptions, string | false]>([
  ['nothing', {}, false],
  ['HTTP/1.1', { ALPNProtocols: ['http/1.1'] }, 'http/1.1'],
  ['HTTP/2 before it', { ALPNProtocols: ['h2', 'http/1.1'] }, 'http/1.1'],
  ['the name of a target', { servername: 'www.example.com', checkServerIdentity: () => undefined }, false],
  ['an unknown name', { servername: 'proxy.internal', checkServerIdentity: () => undefined }, false],
])('of %s, HTTP/1.1 is taken or nothing, with the one certificate', async (_what, options, protocol) => {
  expect(await handshake(options)).toEqual(['first', protocol])
})

test('HTTP/2 alone is refused in the handshake', async () => {
  await expect(handshake({ ALPNProtocols: ['h2'] })).rejects.toThrow(/no application protocol/)
})

test.each([
  ['a request', 'GET http://a.test/ HTTP/1.1\r\n\r\n'],
  ['the greeting of SOCKS5', '\x05\x01\x00'],
  ['one letter', 'G'],
  ['a handshake that is none', '\x16\x02\x00\x00\x04aaaa'],
])('%s without TLS is hung up on and not left waiting', async (_what, bytes) => {
  const startedMs = performance.now()
  const plain = await clientWith(bytes)
  await plain.ended
  expect(performance.now() - startedMs).toBeLessThan(8000)
  expect(plain.text).not.toContain('HTTP')
})

test('connections with and without TLS are counted together, before any handshake', async () => {
  const areOpen = (count: number) => async (): Promise<boolean> =>
    (await proxy.egress.metrics()).includes(`\nipfleet_egress_open_connections ${count}\n`)
  await until(areOpen(0))
  for (let count = 0; count < 5; count += 1) await (count % 2 === 0 ? clientWith('') : proxy.client(''))
  await until(areOpen(5))
  await expect(secureClient()).rejects.toThrow()
  expect(await (await proxy.client('')).ended).toMatch(/closed|reset/)
})

test('a proxy behind TLS serves https-proxy-agent', async () => {
  const agent = new HttpsProxyAgent(`https://me:p%40ss@localhost:${port}`, { ca: first.cert })
  const asked = get(`https://${proxy.authority}/`, { agent }).on('error', () => {})
  const server = await proxy.accept()
  // The greeting of TLS in TLS.
  await server.saw('\x16\x03')
  asked.destroy()
})

withCurl('curl', () => {
  test.each([
    ['for a URL', []],
    ['through a tunnel', ['-p']],
    ['by SOCKS5 beside it', 'socks5h'],
  ])('asks %s', async (_what, how) => {
    const at = how === 'socks5h' ? `socks5h://127.0.0.1:${proxy.egress.port}` : `https://localhost:${port}`
    const args = ['-sS', '--max-time', '20', '--proxy-cacert', first.certFile, '-U', 'me-session-a:p@ss', '-x', at]
    const asked = run('curl', [...args, ...(typeof how === 'string' ? [] : how), proxy.url('/')])
    const server = await proxy.accept()
    await server.saw('\r\n\r\n')
    server.write(`${okHead('Content-Length: 2', 'Connection: close')}ok`)
    expect((await asked).stdout).toBe('ok')
  })
})

// Last, since it changes the certificate.
test('a renewed certificate serves the connections to come; a broken one changes nothing', async () => {
  const open = await secureClient(requestHead(`CONNECT ${proxy.authority}`, authorization))
  await open.saw('\r\n\r\n')
  const server = await proxy.accept()
  await writeFile(first.certFile, '-----BEGIN CERTIFICATE-----\nbroken\n-----END CERTIFICATE-----\n')
  const { msg } = await proxy.egress.waitForLine(({ level }) => level === 'error')
  expect(msg).toContain(`${first.certFile} and ${first.keyFile} are no certificate and key`)
  expect(await handshake({})).toEqual(['first', false])
  await writeFile(first.keyFile, second.key)
  await writeFile(first.certFile, second.cert)
  await proxy.egress.waitForLine((line) => line['msg'] === 'serving with a new certificate')
  expect(await handshake({})).toEqual(['second', false])
  open.write('still')
  await server.saw('still')
  expect(proxy.egress.output()).not.toContain('PRIVATE KEY')
})

test('SIGTERM waits for no handshake', async () => {
  const silent = await clientWith('')
  proxy.egress.kill('SIGTERM')
  expect(await proxy.egress.exited).toEqual({ code: 0, signal: null })
  await silent.ended
})
