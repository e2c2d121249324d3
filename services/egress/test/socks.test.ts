import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { isInstalled } from '@ipfleet/testing/is-installed.ts'
import { until } from '@ipfleet/testing/until.ts'
import type { Wire } from '@ipfleet/testing/wire.ts'
import { ProxyHarness } from './proxy-harness.ts'

/** SOCKS5 (RFC 1928, RFC 1929) on the port of the proxy: what clients send, byte by byte, and what they are told. */
const run = promisify(execFile)
const withCurl = (await isInstalled('curl', 'that it gets through by SOCKS5 is not tested')) ? describe : describe.skip

let open: ProxyHarness
let guarded: ProxyHarness
beforeAll(async () => {
  const pool = { IP_POOL: '127.0.0.2', ALLOW_TARGETS: '127.0.0.1,localhost' }
  open = await ProxyHarness.start(pool)
  guarded = await ProxyHarness.start({ ...pool, PROXY_USER: 'me', PROXY_PASS: 'p@ss', RATE_LIMIT_BURST: '0' })
})
afterEach(() => {
  open.clear()
  guarded.clear()
})
afterAll(async () => {
  await open[Symbol.asyncDispose]()
  await guarded[Symbol.asyncDispose]()
})

const bytes = (...values: readonly number[]): string => Buffer.from(values).toString('latin1')
const greeting = (...methods: readonly number[]): string => bytes(5, methods.length, ...methods)
const counted = (text: string): string => bytes(text.length) + text
const pair = (user: string, password: string): string => bytes(1) + counted(user) + counted(password)
const port = (value: number): string => bytes(value >> 8, value & 255)
const ipv4 = (...address: readonly number[]): string => bytes(1, ...address)
const name = (text: string): string => bytes(3) + counted(text)
const request = (address: string, at: number, command = 1): string => bytes(5, command, 0) + address + port(at)
const reply = (code: number): string => bytes(5, code, 0, 1, 0, 0, 0, 0, 0, 0)

/** All that the proxy says, once it has hung up. */
async function saidTo(client: Wire): Promise<string> {
  expect(await client.ended).toBe('closed')
  return client.text
}

async function saw(client: Wire, text: string): Promise<void> {
  await until(() => client.text.length >= text.length)
  expect(client.text).toBe(text)
}

test.each([
  ['an IPv4 address', () => ipv4(127, 0, 0, 1)],
  ['an address as a name', () => name('127.0.0.1')],
  ['an IPv4-mapped address', () => bytes(4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 127, 0, 0, 1)],
  ['one as a name, without brackets', () => name('::ffff:127.0.0.1')],
  ['one as a name, in brackets', () => name('[::ffff:7f00:1]')],
  ['a name', () => name('LOCALHOST.')],
])('a tunnel to %s stands, leaves from the pool and carries both ways', async (_what, address) => {
  const client = await open.client(greeting(0))
  await saw(client, bytes(5, 0))
  client.write(request(address(), open.origin.port))
  await saw(client, bytes(5, 0) + reply(0))
  const server = await open.accept()
  expect(server.socket.remoteAddress).toBe('127.0.0.2')
  client.write('ping')
  await server.saw('ping')
  server.write('pong')
  await client.saw('pong')
  server.end()
  expect(await client.ended).toBe('closed')
})

test('a handshake byte by byte, and one sent ahead with what follows, are the same', async () => {
  const whole = greeting(1, 0) + request(ipv4(127, 0, 0, 1), open.origin.port)
  const slow = await open.client('')
  for (const byte of whole) {
    slow.write(byte)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await saw(slow, bytes(5, 0) + reply(0))
  await open.accept()
  await open.client(`${whole}early`)
  const server = await open.accept()
  expect(await server.saw('early')).toBe('early')
})

describe('with users', () => {
  test.each([[2], [0, 2], [2, 0], [0, 1, 2], [1, 2]])(
    'a password is chosen where it is offered: %j %j %j',
    async (...methods) => {
      const client = await guarded.client(greeting(...methods.filter((one) => one !== undefined)))
      await saw(client, bytes(5, 2))
    },
  )

  test.each([[[0]], [[1]], [[0, 1]], [[]]])('those who offer %j are told that no method will do', async (methods) => {
    expect(await saidTo(await guarded.client(greeting(...methods)))).toBe(bytes(5, 255))
  })

  test('the right one opens tunnels, and names a session', async () => {
    const client = await guarded.client(greeting(0, 2))
    await saw(client, bytes(5, 2))
    client.write(pair('me-session-abc', 'p@ss'))
    await saw(client, bytes(5, 2, 1, 0))
    client.write(request(ipv4(127, 0, 0, 1), guarded.origin.port))
    await saw(client, bytes(5, 2, 1, 0) + reply(0))
    await guarded.accept()
    const line = await guarded.egress.waitForLine(({ method, status }) => method === 'SOCKS5' && status === 200)
    expect(line).toMatchObject({ user: 'me', target: guarded.authority, source: '127.0.0.2' })
  })

  test.each([
    ['a wrong one', pair('me', 'wrong')],
    ['an empty one of nobody', pair('', '')],
    ['one with NUL', pair('me', 'p@ss\0')],
    ['one that is no UTF-8', pair('me', '\xff')],
  ])('%s is refused, and nothing is dialled', async (_what, given) => {
    const client = await guarded.client(greeting(2) + given + request(ipv4(127, 0, 0, 1), guarded.origin.port))
    expect(await saidTo(client)).toBe(bytes(5, 2, 1, 1))
    expect(guarded.origin.waiting).toBe(0)
    expect(guarded.egress.output()).not.toContain('wrong"')
  })
})

test.each([
  ['BIND', () => request(ipv4(127, 0, 0, 1), open.origin.port, 2), 7],
  ['UDP ASSOCIATE', () => request(ipv4(0, 0, 0, 0), 0, 3), 7],
  ['RESOLVE of Tor', () => request(name('localhost'), 0, 0xf0), 7],
  ['an unknown type of address', () => `${bytes(5, 1, 0, 9, 1, 2, 3, 4)}${port(80)}`, 8],
  ['a private target', () => request(ipv4(10, 0, 0, 1), 443), 2],
  ['a private one as a name', () => request(name('10.0.0.1'), 443), 2],
  ['a private one in IPv6', () => request(name('fd00::1'), 443), 2],
  ['a port that tunnels may not go to', () => request(ipv4(127, 0, 0, 1), 25), 2],
  ['a name that does not resolve', () => request(name('nowhere.invalid'), 443), 4],
  ['a port where nothing listens', () => request(ipv4(127, 0, 0, 1), 1024), 5],
  ['a name with NUL', () => request(name('localhost\0.a'), 443), 1],
  ['an address in another spelling', () => request(name('0x7f.1'), 443), 1],
  ['port 0', () => request(ipv4(127, 0, 0, 1), 0), 1],
])('%s is refused in ten bytes', async (_what, asked, code) => {
  const client = await open.client(greeting(0) + asked())
  expect(await saidTo(client)).toBe(bytes(5, 0) + reply(code))
  expect(open.origin.waiting).toBe(0)
})

test.each([
  ['SOCKS4', bytes(4, 1, 0, 80, 127, 0, 0, 1, 0)],
  ['SOCKS4a', `${bytes(4, 1, 0, 80, 0, 0, 0, 7, 0)}localhost\0`],
])('%s is refused in its own words', async (_what, asked) => {
  expect(await saidTo(await open.client(asked))).toBe(bytes(0, 0x5b, 0, 0, 0, 0, 0, 0))
})

test('a client of SOCKS4 that resets its connection ends nothing but that', async () => {
  for (let count = 0; count < 3; count += 1) {
    const client = await open.client(bytes(4, 1, 0, 80, 127, 0, 0, 1, 0))
    await until(() => client.text.length === 8)
    client.reset()
  }
  await until(async () => (await open.egress.metrics()).includes('ipfleet_egress_open_connections 0'))
  await saw(await open.client(greeting(0)), bytes(5, 0))
})

test('limits are those of CONNECT', async () => {
  const few = await ProxyHarness.start({ MAX_TUNNELS_PER_CLIENT: '1' })
  try {
    const whole = greeting(0) + request(ipv4(127, 0, 0, 1), few.origin.port)
    await saw(await few.client(whole), bytes(5, 0) + reply(0))
    await few.accept()
    expect(await saidTo(await few.client(whole))).toBe(bytes(5, 0) + reply(1))
  } finally {
    await few[Symbol.asyncDispose]()
  }
})

test('PROTOCOLS says what is spoken', async () => {
  const [http, socks] = [
    await ProxyHarness.start({ PROTOCOLS: 'http' }),
    await ProxyHarness.start({ PROTOCOLS: 'socks5' }),
  ]
  try {
    const refused = await http.client(greeting(0))
    expect(await saidTo(refused)).toMatch(/^HTTP\/1\.1 400 /)
    const cut = await socks.client('GET http://127.0.0.1/ HTTP/1.1\r\n\r\n')
    await cut.ended
    expect(cut.text).toBe('')
    await saw(await socks.client(greeting(0)), bytes(5, 0))
  } finally {
    await http[Symbol.asyncDispose]()
    await socks[Symbol.asyncDispose]()
  }
})

withCurl('curl', () => {
  test.each([
    ['socks5', ['-U', 'me:p@ss']],
    ['socks5h', ['-U', 'me-session-curl:p@ss']],
  ])('asks by %s', async (scheme, credentials) => {
    const url = `http://localhost:${guarded.origin.port}/`
    const asked = run('curl', [
      '-sS',
      '-4',
      '--max-time',
      '20',
      '-x',
      `${scheme}://127.0.0.1:${guarded.egress.port}`,
      ...credentials,
      url,
    ])
    const server = await guarded.accept()
    await server.saw('\r\n\r\n')
    server.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok')
    expect((await asked).stdout).toBe('ok')
  })
})
