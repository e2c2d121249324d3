import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals'
import { namesEnvironment } from '@ipfleet/testing/names-environment.ts'
import { temporaryFolder, type TemporaryFolder } from '@ipfleet/testing/service-process-folder.ts'
import { RecordingOrigin } from './recording-origin.ts'
import { SilentListener } from './silent-listener.ts'
import { type RunningEgress, startEgress } from './start-egress.ts'
import { askInTunnel, askThrough, tunnelThrough } from './through.ts'

/** Connections that leave through other proxies, of which one is this program itself, and one dies. */

const password = 'p@ss canary'
const credentials = `boss:${encodeURIComponent(password)}`
let folder: TemporaryFolder
let origin: RecordingOrigin
let parent: RunningEgress
let mortal: MortalParent
let proxy: RunningEgress
let remote: RunningEgress

/** A proxy that knows CONNECT only. */
class MortalParent {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  static async start(): Promise<MortalParent> {
    const started = new MortalParent()
    started.#server.listen(0, '127.0.0.1')
    await once(started.#server, 'listening')
    return started
  }

  private constructor() {
    this.#server = createServer()
    this.#server.on('connection', (socket) => this.#sockets.add(socket))
    this.#server.on('connect', (req, client: Socket) => {
      const [host, port] = String(req.url).split(':')
      const server = connect({ host, port: Number(port), localAddress: '127.0.0.13' })
      this.#sockets.add(server)
      for (const socket of [client, server]) socket.on('error', () => {})
      client.write('HTTP/1.1 200 Connection established\r\n\r\n')
      client.pipe(server).pipe(client)
    })
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Its port stays its own, so that nothing else comes to answer there. */
  die(): void {
    this.#server.on('connection', (socket) => socket.destroy())
    for (const socket of this.#sockets) socket.destroy()
  }

  close(): void {
    this.die()
    this.#server.close()
  }
}

beforeAll(async () => {
  folder = await temporaryFolder('parents')
  const names = join(folder.path, 'names.json')
  // Names that the parent knows, and no other.
  await writeFile(names, JSON.stringify({ 'origin.test': ['127.0.0.1'] }))
  origin = await RecordingOrigin.start()
  mortal = await MortalParent.start()
  const users = { PROXY_USER: 'boss', PROXY_PASS: password }
  parent = await startEgress({ IP_POOL: '127.0.0.12', ...users, ...namesEnvironment(names) })
  const at = `${credentials}@127.0.0.1:${parent.port}`
  const pool = [`http://${at}#one`, `socks5://${at}/#two`, `http://127.0.0.1:${mortal.port}/#three`]
  const often = {
    HEALTH_CHECK_URL: origin.url,
    HEALTH_CHECK_INTERVAL_SECONDS: '0.2',
    HEALTH_CHECK_TIMEOUT_MS: '20000',
    ALLOW_TARGETS: '127.0.0.1,localhost',
  }
  ;[proxy, remote] = await Promise.all([
    startEgress({ ...often, IP_POOL: pool.join() }),
    startEgress({ IP_POOL: `socks5://${at}/?dns=remote,http://${at}/?dns=remote#by-http`, ALLOW_TARGETS: '' }),
  ])
})
beforeEach(() => origin.forget())
afterAll(async () => {
  await Promise.all([proxy.stop(), remote.stop()])
  await parent.stop()
  mortal.close()
  await origin[Symbol.asyncDispose]()
  await folder.remove()
})

const sourcesOf: Readonly<Record<string, string>> = { one: '127.0.0.12', two: '127.0.0.12', three: '127.0.0.13' }

test('requests and tunnels leave through each in turn, and name it', async () => {
  const used: string[] = []
  for (let turn = 0; turn < 3; turn += 1) {
    const { status, headers, body } = await askThrough(proxy.port, origin.url)
    const label = String(headers['x-egress-ip'])
    expect([status, body]).toEqual([200, sourcesOf[label]])
    used.push(label)
  }
  for (let turn = 0; turn < 3; turn += 1) {
    const tunnel = await tunnelThrough(proxy.port, origin.authority)
    const label = String(tunnel.headers['x-egress-ip'])
    expect((await askInTunnel(tunnel, 'a.test')).body).toBe(sourcesOf[label])
    used.push(label)
  }
  expect(used.slice(0, 3).toSorted()).toEqual(['one', 'three', 'two'])
  expect(used.slice(3)).toEqual(used.slice(0, 3))
  expect(await proxy.metrics()).toContain('ipfleet_egress_source_requests_total{source="two"} 2\n')
})

test('a session keeps its parent', async () => {
  const options = { user: 'me-session-abc:x' }
  const [first, ...others] = await Promise.all(
    Array.from({ length: 4 }, async () => (await askThrough(proxy.port, origin.url, options)).headers['x-egress-ip']),
  )
  expect(sourcesOf).toHaveProperty(String(first))
  expect(others).toEqual([first, first, first])
})

test('a parent gets the address that was checked, unless it is to look names up', async () => {
  const options = { user: 'me-session-def:x' }
  expect((await askThrough(proxy.port, `http://localhost:${origin.port}/`, options)).status).toBe(200)
  expect((await askThrough(remote.port, `http://origin.test:${origin.port}/`)).body).toBe('127.0.0.12')
  const { status, headers } = await tunnelThrough(remote.port, `origin.test:${origin.port}`)
  expect([status, headers['x-egress-ip']]).toEqual([200, expect.stringMatching(/^by-http$|^127\.0\.0\.1:\d+$/)])
  for (const host of ['127.0.0.1', 'origin.test']) {
    await parent.waitForLine(({ target }) => target === `${host}:${origin.port}`)
  }
  expect(parent.output()).not.toContain('localhost')
})

test.each([
  ['this machine', 'localhost', 403],
  ['a private address', '10.0.0.1', 403],
  ['a name that the parent cannot find', 'nowhere.test', 502],
])('%s is refused also where parents look names up', async (_what, host, status) => {
  expect((await tunnelThrough(remote.port, `${host}:443`)).status).toBe(status)
})

test('one that dies fails no request, and leaves the rotation', async () => {
  mortal.die()
  for (let turn = 0; turn < 6; turn += 1) expect((await askThrough(proxy.port, origin.url)).status).toBe(200)
  await proxy.waitForLine(({ msg, source }) => msg === 'source address is out' && source === 'three')
  const used: unknown[] = []
  for (let turn = 0; turn < 4; turn += 1) used.push((await askThrough(proxy.port, origin.url)).headers['x-egress-ip'])
  expect(new Set(used)).toEqual(new Set(['one', 'two']))
  expect(await proxy.metrics()).toContain('ipfleet_egress_source_up{source="three"} 0\n')
})

test('the log says why one is out', async () => {
  await using stack = new AsyncDisposableStack()
  const stranger = `http://boss:wrong@127.0.0.1:${parent.port}/#stranger`
  const egress = stack.use(
    await startEgress({ IP_POOL: `127.0.0.14,${stranger}`, HEALTH_CHECK_INTERVAL_SECONDS: '600' }),
  )
  for (let turn = 0; turn < 4; turn += 1) expect((await askThrough(egress.port, origin.url)).status).toBe(200)
  expect(await egress.waitForLine(({ source }) => source === 'stranger')).toMatchObject({
    msg: 'source address is out',
    reason: 'parent_failed',
    detail: 'parent answered 407',
  })
})

test('two that answer no attempt to connect fail no request, and leave the rotation', async () => {
  await using stack = new AsyncDisposableStack()
  const pool = ['127.0.0.14']
  for (const label of ['silent', 'mute']) {
    const listener = await SilentListener.start('127.0.0.1')
    stack.defer(() => listener.stop())
    pool.unshift(`http://127.0.0.1:${listener.port}/#${label}`)
  }
  // Its checks alone would take far longer to find out.
  const egress = stack.use(await startEgress({ IP_POOL: pool.join(','), HEALTH_CHECK_INTERVAL_SECONDS: '600' }))
  const asked = await Promise.all([1, 2, 3, 4].map(() => askThrough(egress.port, origin.url)))
  for (const { status, body } of asked) expect([status, body]).toEqual([200, '127.0.0.14'])
  const metrics = await egress.metrics()
  for (const label of ['silent', 'mute']) expect(metrics).toContain(`ipfleet_egress_source_up{source="${label}"} 0\n`)
})

// Last, when all has been logged.
test('one that waits for a silent target is not to blame', async () => {
  await using stack = new AsyncDisposableStack()
  const waiting = stack.use(createTcpServer((socket) => socket.on('error', () => {}).resume()))
  waiting.listen(0, '127.0.0.1')
  await once(waiting, 'listening')
  const { port } = waiting.address() as AddressInfo
  const patient = stack.use(
    await startEgress({ IP_POOL: `http://127.0.0.1:${port}/#patient`, CONNECT_TIMEOUT_MS: '6000' }),
  )
  // At all phases of what looks after deadlines now and then.
  const asked = Array.from({ length: 12 }, async (_, at) => {
    await sleep(43 * at)
    return (await askThrough(patient.port, origin.url)).status
  })
  expect(new Set(await Promise.all(asked))).toEqual(new Set([504]))
  expect(await patient.metrics()).toContain('ipfleet_egress_source_up{source="patient"} 1\n')
})

test('credentials are shown to no one', async () => {
  const seen = [proxy.output(), remote.output(), await proxy.metrics(), JSON.stringify(origin.arrivals)].join('\n')
  expect(seen).not.toContain('canary')
  expect(seen).not.toContain(Buffer.from(`boss:${password}`).toString('base64'))
})
