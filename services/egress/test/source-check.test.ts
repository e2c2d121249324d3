import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, connect, createServer as createTcpServer, type Server as TcpServer } from 'node:net'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { monotonicClock } from '@ipfleet/core/clock.ts'
import { NameLookups } from '@ipfleet/net/name-lookups.ts'
import { testCertificate } from '@ipfleet/testing/test-certificate.ts'
import { until } from '@ipfleet/testing/until.ts'
import { afterEach, describe, expect, test } from '@jest/globals'
import { ParentDialer } from '../src/dial/parent-dialer.ts'
import { readParent } from '../src/sources/parent-proxy.ts'
import { createSourceCheck } from '../src/sources/source-check.ts'
import type { CheckVerdict } from '../src/sources/source-pool.ts'
import { networkNamespace, whyNoNamespaces } from './network-namespace.ts'

const closings: (() => unknown)[] = []

afterEach(async () => {
  for (const close of closings.splice(0).toReversed()) await close()
})

async function listening(server: Server | TcpServer, host = '127.0.0.1'): Promise<number> {
  closings.push(() => server.close())
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  return (server.address() as AddressInfo).port
}

const served = (listener: RequestListener): Promise<number> => listening(createServer(listener))

interface CheckOptions {
  /** Default 127.0.0.2. */
  readonly address?: string
  readonly signal?: AbortSignal
  /** Default: more than a busy machine takes. */
  readonly timeoutMs?: number
  readonly names?: NameLookups
}

function check(url: string | undefined, options: CheckOptions = {}) {
  const { address = '127.0.0.2', signal = new AbortController().signal, timeoutMs = 20_000, names } = options
  const source = { address, family: address.includes(':') ? 6 : 4, listedAs: address } as const
  return createSourceCheck({ url, timeoutMs, ...(names && { names }) })(source, signal)
}

const good: CheckVerdict = { kind: 'good' }

describe('without a target', () => {
  test.each(['127.0.0.2', '127.255.255.254'])('%s is this machine’s, so it is good', async (address) => {
    expect(await check(undefined, { address })).toEqual(good)
  })

  test.each(['192.0.2.77', '2001:db8::77'])('%s is not this machine’s', async (address) => {
    expect(await check(undefined, { address })).toEqual({ kind: 'not_ours' })
  })
})

describe('with one', () => {
  test('asks for it from the source, on a connection of its own', async () => {
    const seen: unknown[] = []
    const port = await served((req, res) => {
      seen.push([req.method, req.url, req.headers.host, req.headers.connection, req.socket.remoteAddress])
      res.end()
    })
    expect(await check(`http://localhost:${port}/a?b`, { address: '127.0.0.3' })).toEqual(good)
    expect(seen).toEqual([['GET', '/a?b', `localhost:${port}`, 'close', '127.0.0.3']])
  })

  test.each<[number, CheckVerdict]>([
    [204, good],
    [302, good],
    [403, good],
    [429, good],
    [503, { kind: 'failed', reason: 'answered 503' }],
  ])('an answer of %i', async (status, verdict) => {
    const port = await served((_req, res) => res.writeHead(status).end())
    expect(await check(`http://127.0.0.1:${port}`)).toEqual(verdict)
  })

  test('whose host is a name is looked up at each check, and why that fails is told', async () => {
    const seen: unknown[] = []
    const port = await listening(
      createTcpServer((socket) => void seen.push(socket.localAddress)),
      '0.0.0.0',
    )
    const answers = [['::1', '127.0.0.7'], ['127.0.0.8'], ['::1']]
    const lookUp = async () => (answers.shift() ?? []).map((address) => ({ address }))
    const names = new NameLookups({ lookUp, clock: monotonicClock, timeoutMs: 20_000 })
    const verdicts: CheckVerdict[] = []
    for (let time = 0; time < 4; time += 1) verdicts.push(await check(`tcp://moves.test:${port}`, { names }))
    const none: CheckVerdict = { kind: 'failed', reason: 'ENODATA' }
    expect(verdicts).toEqual([good, good, none, none])
    await until(() => seen.length === 2)
    expect(seen).toEqual(['127.0.0.7', '127.0.0.8'])
  })

  test('does not wait for the end of the answer', async () => {
    let isLeft = false
    const port = await served((_req, res) => {
      res.writeHead(200).write('x'.repeat(100_000))
      res.on('close', () => (isLeft = true))
    })
    expect(await check(`http://127.0.0.1:${port}`)).toEqual(good)
    await until(() => isLeft)
  })

  test('that does not answer in time fails', async () => {
    const port = await served(() => {})
    const verdict = await check(`http://127.0.0.1:${port}`, { timeoutMs: 300 })
    expect(verdict).toEqual({ kind: 'failed', reason: 'no answer within 300 ms' })
  })

  test('that speaks something else, or no longer, fails', async () => {
    const port = await listening(createTcpServer((socket) => socket.on('error', () => {}).end('220 hello\r\n')))
    expect(await check(`http://127.0.0.1:${port}`)).toMatchObject({ kind: 'failed' })
    expect(await check(`https://127.0.0.1:${port}`)).toMatchObject({ kind: 'failed' })
  })

  test('is judged as its answers to clients are', async () => {
    const answers = ['HTTP/1.1 200 OK\nX-Name: \x01\nContent-Length: 2\n\nok', 'HTTP/1.1 200 OK\r\nX : y\r\n\r\nok']
    for (const answer of answers) {
      const port = await listening(createTcpServer((socket) => socket.on('error', () => {}).end(answer)))
      expect(await check(`http://127.0.0.1:${port}`)).toEqual(good)
      expect(await checkThrough(`http://127.0.0.1:${port}`, await parentTo(port))).toEqual(good)
    }
  })

  test('is logged in to with the user and password of its URL', async () => {
    const seen: unknown[] = []
    const port = await served((req, res) => {
      seen.push(req.headers.authorization)
      res.end()
    })
    expect(await check(`http://me:p%40ss@127.0.0.1:${port}`)).toEqual(good)
    expect(seen).toEqual([`Basic ${Buffer.from('me:p@ss').toString('base64')}`])
  })

  test('connects to tcp://', async () => {
    const peers: (string | undefined)[] = []
    const server = createTcpServer((socket) => {
      peers.push(socket.remoteAddress)
      socket.on('error', () => {}).resume()
    })
    const port = await listening(server)
    expect(await check(`tcp://127.0.0.1:${port}`, { address: '127.0.0.4' })).toEqual(good)
    await until(() => peers.length === 1)
    expect(peers).toEqual(['127.0.0.4'])
    server.close()
    await until(async () => (await check(`tcp://127.0.0.1:${port}`)).kind === 'failed')
    expect(await check(`tcp://127.0.0.1:${port}`)).toEqual({ kind: 'failed', reason: 'ECONNREFUSED' })
  })

  test('of the other family fails, which is not the address’s fault alone', async () => {
    expect(await check('tcp://[::1]:9')).toMatchObject({ kind: 'failed' })
  })

  test('is not asked from an address that is not this machine’s', async () => {
    let isAsked = false
    const port = await served((_req, res) => {
      isAsked = true
      res.end()
    })
    expect(await check(`http://127.0.0.1:${port}`, { address: '192.0.2.77' })).toEqual({ kind: 'not_ours' })
    expect(isAsked).toBe(false)
  })

  test('that nobody waits for any more ends', async () => {
    const port = await served(() => {})
    const closing = new AbortController()
    const verdict = check(`http://127.0.0.1:${port}`, { signal: closing.signal })
    closing.abort()
    expect((await verdict).kind).toBe('failed')
  })

  test.each(['ftp://a.test', 'tcp://a.test', 'tcp://a.test:0'])('must be one that can be asked: not %s', (url) => {
    expect(() => createSourceCheck({ url, timeoutMs: 300 })).toThrow(RangeError)
  })
})

const parentAddress = '127.0.0.13'

async function checkThrough(url: string, parentPort: number, timeoutMs = 20_000): Promise<CheckVerdict> {
  const read = readParent(`http://127.0.0.1:${parentPort}/#parent`)
  if (read.kind === 'fault') throw new Error(read.fault)
  const source = { address: 'parent', family: undefined, listedAs: 'parent', parent: read.parent }
  const names = new NameLookups({ lookUp: async () => [], clock: monotonicClock, timeoutMs })
  const dialer = new ParentDialer({ names, clock: monotonicClock })
  return createSourceCheck({ url, timeoutMs }, dialer)(source, new AbortController().signal)
}

/** Passes on to a port, from an address of its own, whatever it is asked for; to none: it is silent then. */
const parentTo = (port: number | undefined): Promise<number> =>
  listening(
    createTcpServer((socket) => {
      socket
        .on('error', () => {})
        .once('data', () => {
          socket.write('HTTP/1.1 200 OK\r\n\r\n')
          if (port === undefined) return
          const server = connect({ port, host: '127.0.0.1', localAddress: parentAddress }).on('error', () => {})
          socket.pipe(server).pipe(socket)
        })
    }),
  )

describe('through a parent', () => {
  test('the target is asked from there', async () => {
    const seen: unknown[] = []
    const port = await served((req, res) => {
      seen.push([req.headers.host, req.headers.connection, req.socket.remoteAddress])
      res.end()
    })
    expect(await checkThrough('http://a.test/', await parentTo(port))).toEqual(good)
    expect(seen).toEqual([['a.test', 'close', parentAddress]])
  })

  test('https:// is asked for whether it names a host or an address', async () => {
    const certificate = await testCertificate({ names: ['a.test', '127.0.0.1'] })
    closings.push(() => certificate[Symbol.asyncDispose]())
    const trusted = getCACertificates('default')
    setDefaultCACertificates([...trusted, certificate.cert])
    closings.push(() => setDefaultCACertificates(trusted))
    const seen: unknown[] = []
    const port = await listening(
      createTlsServer(certificate, (req, res) => {
        seen.push([req.headers.host, 'servername' in req.socket && req.socket.servername, req.socket.remoteAddress])
        res.end()
      }),
    )
    const parent = await parentTo(port)
    for (const host of ['a.test', '127.0.0.1']) expect(await checkThrough(`https://${host}/`, parent)).toEqual(good)
    expect(seen).toEqual([
      ['a.test', 'a.test', parentAddress],
      ['127.0.0.1', false, parentAddress],
    ])
  })

  test('one that opens tunnels and passes nothing on fails, also if the target is there', async () => {
    const port = await served((_req, res) => res.end())
    const verdict = await checkThrough(`http://127.0.0.1:${port}/`, await parentTo(undefined), 300)
    expect(verdict).toEqual({ kind: 'failed', reason: 'no answer within 300 ms' })
  })
})

const why = await whyNoNamespaces()
if (why !== undefined) process.stdout.write(`Addresses are not taken away from interfaces: ${why}\n`)
const inNamespace = why === undefined ? test : test.skip

inNamespace('an address that is taken away from its interface leaves the rotation, and returns with it', async () => {
  const namespace = await networkNamespace()
  closings.push(() => namespace.close())
  await namespace.ip('link', 'set', 'lo', 'up')
  for (const address of ['192.0.2.1/32', '192.0.2.2/32']) await namespace.ip('addr', 'add', address, 'dev', 'lo')
  const program = await namespace.run(new URL('fixture-sources.ts', import.meta.url), '192.0.2.1,192.0.2.2')
  await program.line('checked: 192.0.2.1 192.0.2.2')
  await namespace.ip('addr', 'del', '192.0.2.1/32', 'dev', 'lo')
  await program.line('192.0.2.1 out: not_ours')
  await program.line('in turn: 192.0.2.2 192.0.2.2')
  await namespace.ip('addr', 'add', '192.0.2.1/32', 'dev', 'lo')
  await program.line('192.0.2.1 back')
  await program.line(/^in turn: (192\.0\.2\.1 192\.0\.2\.2|192\.0\.2\.2 192\.0\.2\.1)$/)
})
