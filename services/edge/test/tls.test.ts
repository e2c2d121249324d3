import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { RecordingBackend, type SeenRequest, valuesOf } from '@ipfleet/testing/recording-backend.ts'
import { ScriptedBackend } from '@ipfleet/testing/scripted-backend.ts'
import { until } from '@ipfleet/testing/until.ts'
import { Wire } from '@ipfleet/testing/wire.ts'
import { ask } from './ask.ts'
import { h2Ask, h2Session } from './h2-ask.ts'
import { type RunningEdge, startEdge, startEdgeFrom } from './start-edge.ts'
import { testCertificate, type TestCertificate } from './test-certificate.ts'
import { isResumed, tlsAsk, tlsHandshake, tlsSession } from './tls-ask.ts'

let certificate: TestCertificate
let backend: RecordingBackend
/** Has `/by-hand` answered by the test itself. */
let edge: RunningEdge
let byHand: ScriptedBackend
beforeAll(async () => {
  certificate = await testCertificate({ subject: 'first' })
  backend = await RecordingBackend.start()
  byHand = await ScriptedBackend.start()
  const group = `[groups.hand]\nbackends = ["http://127.0.0.1:${byHand.port}"]`
  const route = '[[routes]]\nprefix = "/by-hand"\nupstreams = "hand"'
  edge = await startEdge({ backends: [backend.port], tables: [certificate.toml, group, route].join('\n') })
})
afterAll(async () => {
  await edge.stop()
  await byHand[Symbol.asyncDispose]()
  await backend[Symbol.asyncDispose]()
  await certificate[Symbol.asyncDispose]()
})
beforeEach(() => backend.forget())

describe('HTTPS', () => {
  test('is HTTP/1.1 to whom that is enough, and the backend is told', async () => {
    const { status, body } = await tlsAsk(edge.port, {
      ca: certificate.cert,
      method: 'POST',
      path: '/a',
      body: 'hello',
    })
    const seen = JSON.parse(body) as SeenRequest
    expect([status, seen.method, seen.target, seen.body]).toEqual([200, 'POST', '/a', 'hello'])
    expect(valuesOf(seen, 'x-forwarded-proto')).toEqual(['https'])
    expect(valuesOf(seen, 'via')).toEqual(['1.1 ipfleet-edge'])
  })

  test.each([
    [['h2', 'http/1.1'], 'h2'],
    [['http/1.1', 'h2'], 'h2'],
    [['http/1.1'], 'http/1.1'],
    [undefined, false],
  ])('agrees on what the client can: of %j on %s', async (ALPNProtocols, alpn) => {
    const offered = ALPNProtocols === undefined ? {} : { ALPNProtocols }
    expect((await tlsHandshake(edge.port, { ca: certificate.cert, ...offered })).alpn).toBe(alpn)
  })

  test('is not spoken by those who speak plainly, and they do no harm', async () => {
    const plain = await Wire.to(edge.port)
    plain.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await plain.ended
    expect(plain.text).not.toContain('HTTP/1.1')
    expect((await tlsAsk(edge.port, { ca: certificate.cert })).status).toBe(200)
  })

  test('keeps nothing of a client that leaves in the middle of the handshake, or right after it', async () => {
    for (const bytes of ['', '\x16\x03\x01']) {
      const silent = await Wire.to(edge.port)
      silent.write(bytes)
      silent.end()
      expect(await silent.ended).toBe('closed')
    }
    for (const ALPNProtocols of [['h2'], ['http/1.1']]) {
      await tlsHandshake(edge.port, { ca: certificate.cert, ALPNProtocols })
    }
    // That of whoever asks.
    await until(async () => {
      const { body } = await tlsAsk(edge.port, { ca: certificate.cert, path: '/metrics' })
      return /^ipfleet_edge_open_connections 1$/m.test(body)
    })
  })

  test('carries a tunnel, of which each direction ends by itself', async () => {
    const client = await Wire.to(edge.port, { ca: certificate.cert })
    client.write('GET /by-hand HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n')
    const server = await byHand.accept()
    await server.saw('\r\n\r\n')
    server.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n')
    await client.saw('\r\n\r\n')
    client.write('last words')
    client.end()
    await server.saw('last words')
    expect(await server.ended).toBe('closed')
    server.write('an answer to the last words')
    server.end()
    await client.saw('an answer to the last words')
    await client.ended
  })

  test('leaves the client with an answer that is visibly not whole when its backend dies', async () => {
    const client = await Wire.to(edge.port, { ca: certificate.cert })
    client.write('GET /by-hand HTTP/1.1\r\nHost: a\r\n\r\n')
    const server = await byHand.accept()
    await server.saw('\r\n\r\n')
    server.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n')
    await client.saw('part')
    server.reset()
    await client.ended
    expect(client.text).not.toContain('\r\n0\r\n')
  })
})

function withKeys(keys: string): Promise<RunningEdge> {
  return startEdge({ backends: [backend.port], tables: `${certificate.toml}\n${keys}` })
}

describe('[tls] says', () => {
  test('how old a version of TLS may be, and whether HTTP/2 is offered', async () => {
    await using strict = await withKeys('min_version = "TLSv1.3"\nhttp2 = false')
    const asOf2008 = { ca: certificate.cert, maxVersion: 'TLSv1.2' } as const
    expect((await tlsHandshake(edge.port, asOf2008)).version).toBe('TLSv1.2')
    await expect(tlsHandshake(strict.port, asOf2008)).rejects.toThrow(/alert|protocol version/i)
    expect((await tlsHandshake(strict.port, { ca: certificate.cert })).version).toBe('TLSv1.3')
    const both = { ca: certificate.cert, ALPNProtocols: ['h2', 'http/1.1'] }
    expect((await tlsHandshake(strict.port, both)).alpn).toBe('http/1.1')
    await expect(tlsHandshake(strict.port, { ...both, ALPNProtocols: ['h2'] })).rejects.toThrow()
  })

  test('what there must be: files that belong together, or no start and a reason', async () => {
    await using other = await testCertificate()
    const mixed = `[server]\nlisten = "127.0.0.1:0"\n[tls]\ncert = "${certificate.certFile}"\nkey = "${other.keyFile}"`
    await expect(startEdgeFrom(mixed)).rejects.toThrow('they do not belong together')
  })
})

describe('a certificate that is replaced', () => {
  test('serves the connections to come; those that are open go on; a broken one changes nothing', async () => {
    await using files = await testCertificate({ subject: 'first' })
    await using second = await testCertificate({ subject: 'second' })
    await using renewing = await startEdge({ backends: [backend.port], tables: files.toml })
    const session = await h2Session(renewing.port, files.cert)
    const served = async (): Promise<string> =>
      (await tlsHandshake(renewing.port, { ca: [files.cert, second.cert] })).subject
    expect(await served()).toBe('first')

    await writeFile(files.certFile, '-----BEGIN CERTIFICATE-----\nbroken\n-----END CERTIFICATE-----\n')
    const { msg } = await renewing.waitForLine(({ level }) => level === 'error')
    expect(msg).toContain(`${files.certFile} and ${files.keyFile} are no certificate and key`)
    expect(await served()).toBe('first')

    await writeFile(files.keyFile, second.key)
    await writeFile(files.certFile, second.cert)
    await renewing.waitForLine((line) => line['msg'] === 'serving with a new certificate')
    expect(await served()).toBe('second')
    expect((await h2Ask(session, { ':path': '/' })).status).toBe(200)
    session.destroy()
    expect(renewing.output()).not.toContain('PRIVATE KEY')
  })

  test('ends no session: whichever worker gave it, before or after, each resumes it', async () => {
    await using files = await testCertificate()
    await using renewing = await startEdge({ backends: [backend.port], server: 'workers = 2', tables: files.toml })
    const options = { ca: files.cert, servername: 'localhost' }
    const resumed = async (session: Buffer): Promise<boolean[]> => {
      const handshakes: boolean[] = []
      for (let turn = 0; turn < 4; turn += 1) {
        handshakes.push(await isResumed(renewing.port, { ...options, session }))
      }
      return handshakes
    }
    const before = await tlsSession(renewing.port, options)
    expect(await resumed(before)).toEqual([true, true, true, true])
    await writeFile(files.certFile, `${files.cert}\n`)
    await until(() => renewing.lines().filter(({ msg }) => msg === 'serving with a new certificate').length === 2)
    expect(await resumed(before)).toEqual([true, true, true, true])
    expect(await resumed(await tlsSession(renewing.port, options))).toEqual([true, true, true, true])
  })
})

function edgeTo(url: string, trusted: TestCertificate): Promise<RunningEdge> {
  const toml = `[server]\nlisten = "127.0.0.1:0"\n[upstreams]\nbackends = ["${url}"]\nhost = "backend"\nconnect_timeout_ms = 20000`
  return startEdgeFrom(toml, { NODE_EXTRA_CA_CERTS: trusted.certFile })
}

describe('a backend behind HTTPS', () => {
  let servers: Server[] = []
  afterAll(() => {
    for (const server of servers) server.close()
  })

  async function secureBackend({ cert, key }: TestCertificate): Promise<number> {
    const server = createServer({ cert, key }, (req, res) => {
      res.setHeader('connection', 'close')
      res.end(`${req.headers.host} ${req.url}`)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    servers = [...servers, server]
    return (server.address() as AddressInfo).port
  }

  test.each(['localhost', '127.0.0.1'])('is asked when its certificate is for it: %s', async (name) => {
    const port = await secureBackend(certificate)
    await using asking = await edgeTo(`https://${name}:${port}`, certificate)
    expect(await ask(asking.port, '/a')).toMatchObject({ status: 200, body: `${name}:${port} /a` })
  })

  test('is not asked when it is for somebody else, or nobody vouches for it', async () => {
    await using foreign = await testCertificate({ names: ['other.test'] })
    const port = await secureBackend(foreign)
    for (const trusted of [foreign, certificate]) {
      await using asking = await edgeTo(`https://localhost:${port}`, trusted)
      const { status, body } = await ask(asking.port, '/')
      expect([status, body]).toEqual([502, expect.stringContaining('could not be reached')])
      const { cause } = await asking.waitForLine(({ fault }) => fault === 'unreachable')
      expect(cause).toMatch(/altnames|self-signed/)
    }
  })
})
