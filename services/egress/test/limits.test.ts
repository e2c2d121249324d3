import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { observeRedis, type RedisObserver } from '@ipfleet/testing/redis-observer.ts'
import { ScriptedBackend } from '@ipfleet/testing/scripted-backend.ts'
import { temporaryFolder } from '@ipfleet/testing/service-process-folder.ts'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { until } from '@ipfleet/testing/until.ts'
import { acceptance } from '@ipfleet/testing/websocket-server.ts'
import { Wire } from '@ipfleet/testing/wire.ts'
import { hashPassword, showPasswordHash } from '../src/auth/password-hash.ts'
import { RecordingOrigin } from './recording-origin.ts'
import { type RunningEgress, startEgress } from './start-egress.ts'
import { SilentListener } from './silent-listener.ts'
import { askThrough, type Reply, replyIn, type ThroughOptions, tunnelThrough } from './through.ts'

/** How much each client or user may ask, and who is let in. */

const opened: (() => unknown)[] = []
let origin: RecordingOrigin
let redis: TestRedis
let observer: RedisObserver

beforeAll(async () => {
  origin = await RecordingOrigin.start()
  redis = await startTestRedis()
  observer = await observeRedis(redis.url)
})
afterEach(async () => {
  for (const close of opened.splice(0).toReversed()) await close()
})
afterAll(async () => {
  await observer[Symbol.asyncDispose]()
  await redis.stop()
  await origin[Symbol.asyncDispose]()
})

async function proxy(env: Readonly<Record<string, string>>): Promise<RunningEgress> {
  const egress = await startEgress(env)
  opened.push(() => egress.stop())
  return egress
}

async function fleetOfTwo(env: Readonly<Record<string, string>>): Promise<RunningEgress[]> {
  const fleet = await Promise.all([1, 2].map(() => proxy({ REDIS_URL: redis.url, ...env })))
  for (const egress of fleet) await until(async () => (await egress.metrics()).includes('egress_redis_up 1\n'))
  return fleet
}

const ask = ({ port }: RunningEgress, options: ThroughOptions = {}): Promise<Reply> =>
  askThrough(port, origin.url, options)

/** As many, one after the other, by turns over the proxies, tunnels among them. */
async function statusesOf(fleet: readonly RunningEgress[], count: number, options: ThroughOptions = {}) {
  const statuses: number[] = []
  for (let turn = 0; turn < count; turn += 1) {
    const { port } = fleet[turn % fleet.length]!
    if (turn % 3 < 2) statuses.push((await askThrough(port, origin.url, options)).status)
    else {
      const { status, wire } = await tunnelThrough(port, origin.authority, options)
      wire.destroy()
      statuses.push(status)
    }
  }
  return statuses
}

const times = (count: number, status: number): number[] => Array.from({ length: count }, () => status)

let clients = 0
/** An address of this machine from which nothing was asked yet. */
const newClient = (): string => `127.0.7.${(clients += 1)}`

describe('a client', () => {
  test('may ask ten times at once, then gets 429, and one more after four seconds', async () => {
    const egress = await proxy({ RATE_LIMIT_BURST: '10', RATE_LIMIT_REFILL: '0.25' })
    const startedMs = performance.now()
    expect(await statusesOf([egress], 10)).toEqual(times(10, 200))
    // On a machine that took four seconds for this, one has come back already.
    const askedMs = performance.now() - startedMs
    const refused = await ask(egress)
    expect(askedMs >= 4000 || refused.status === 429).toBe(true)
    const over = await until(async () => {
      const reply = await ask(egress)
      return reply.status === 429 && reply
    })
    const overMs = performance.now()
    expect(over.headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'proxy-status': 'ipfleet-egress; error=http_request_denied; details="rate limit"',
      'retry-after': expect.stringMatching(/^[1-4]$/),
      'ratelimit-policy': expect.stringContaining('q=10'),
      ratelimit: expect.stringContaining('r=0'),
    })
    expect((await tunnelThrough(egress.port, origin.authority)).status).toBe(429)
    await until(async () => (await ask(egress)).status === 200)
    expect(performance.now() - overMs).toBeLessThan(30_000)
    expect((await ask(egress)).status).toBe(429)
    expect((await ask(egress, { from: newClient() })).status).toBe(200)
    expect(await egress.waitForLine(({ msg }) => msg === 'rate limited')).toMatchObject({ level: 'warn', status: 429 })
  })

  test('has one bucket for all replicas', async () => {
    const fleet = await fleetOfTwo({ RATE_LIMIT_BURST: '10', RATE_LIMIT_REFILL: '0.01' })
    const from = newClient()
    expect(await statusesOf(fleet, 14, { from })).toEqual([...times(10, 200), ...times(4, 429)])
  })

  test('that keeps asking is refused from memory', async () => {
    const fleet = await fleetOfTwo({ RATE_LIMIT_BURST: '2', RATE_LIMIT_REFILL: '0.001' })
    const from = newClient()
    const commandsFor = async (count: number): Promise<number> => {
      observer.clear()
      const statuses = await statusesOf(fleet, count, { from })
      expect(statuses.slice(-4)).toEqual(times(4, 429))
      await observer.caughtUp()
      return observer.commands().filter(({ inner, args }) => !inner && args.join().includes(from)).length
    }
    expect(await commandsFor(6)).toBeGreaterThan(0)
    expect(await commandsFor(60)).toBeLessThan(6)
  })

  test('is limited while Redis is away, too', async () => {
    const own = await startTestRedis()
    opened.push(() => own.stop())
    const egress = await proxy({ REDIS_URL: own.url, RATE_LIMIT_BURST: '4', RATE_LIMIT_REFILL: '0.001' })
    await own.kill()
    const statuses = await statusesOf([egress], 12)
    expect(statuses.slice(-6)).toEqual(times(6, 429))
    expect(statuses.filter((status) => status === 200).length).toBeGreaterThan(0)
  })

  test('is not limited with RATE_LIMIT_BURST=0', async () => {
    expect(await statusesOf([await proxy({ RATE_LIMIT_BURST: '0' })], 60)).toEqual(times(60, 200))
  })
})

test('tunnels are so many for each client, and so many in all', async () => {
  const { port } = await proxy({ MAX_TUNNELS_PER_CLIENT: '2', MAX_TUNNELS: '3' })
  const open = async (from: string): Promise<Reply> => {
    const tunnel = await tunnelThrough(port, origin.authority, { from })
    opened.push(() => tunnel.wire.destroy())
    return tunnel
  }
  const [one, other] = [newClient(), newClient()]
  const replies = [await open(one), await open(one), await open(one), await open(other), await open(other)]
  expect(replies.map(({ status }) => status)).toEqual([200, 200, 429, 200, 503])
  for (const { headers } of [replies[2], replies[4]] as Reply[]) {
    expect(headers).toMatchObject({
      'proxy-status': expect.stringContaining('error=connection_limit_reached'),
      'retry-after': '1',
    })
  }
})

test('tunnels that are not made yet and connections that say nothing are bounded for each client', async () => {
  const egress = await proxy({
    MAX_TUNNELS_PER_CLIENT: '2',
    MAX_CONNECTIONS_PER_CLIENT: '6',
    ALLOW_TARGETS: 'loopback',
  })
  const [silent, from] = [await SilentListener.start('127.0.0.1'), newClient()]
  opened.push(() => silent.stop())
  const open = (bytes: string): Wire => {
    const socket = connect({ host: '127.0.0.1', port: egress.port, localAddress: from })
    const wire = new Wire(socket)
    opened.push(() => wire.destroy())
    wire.write(bytes)
    return wire
  }
  const connects = [1, 2, 3].map(() =>
    open(`CONNECT 127.0.0.1:${silent.port} HTTP/1.1\r\nHost: 127.0.0.1:${silent.port}\r\n\r\n`),
  )
  // Two are being dialled; the third is told.
  await until(() => connects.some(({ text }) => text.startsWith('HTTP/1.1 429')))
  const unfinished = Array.from({ length: 7 }, () => open('CONNECT '))
  const over = await Promise.race(unfinished.map((wire) => wire.ended.then(() => wire)))
  expect(over.text).toBe('')
  await egress.waitForLine(({ setting }) => setting === 'MAX_CONNECTIONS_PER_CLIENT')
  const other = await tunnelThrough(egress.port, origin.authority, { from: newClient() })
  other.wire.destroy()
  expect(other.status).toBe(200)
})

test('a WebSocket that is asked for by its URL is one of a client’s tunnels', async () => {
  const { port } = await proxy({ MAX_TUNNELS_PER_CLIENT: '1' })
  const backend = await ScriptedBackend.start()
  opened.push(() => backend[Symbol.asyncDispose]())
  const handshake = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: a']
  const socket = async (): Promise<Wire> => {
    const wire = await Wire.to(port)
    opened.push(() => wire.destroy())
    wire.write(`GET http://127.0.0.1:${backend.port}/ HTTP/1.1\r\nHost: a.test\r\n${handshake.join('\r\n')}\r\n\r\n`)
    return wire
  }
  const first = await socket()
  const server = await backend.accept()
  server.write(acceptance(await server.saw('\r\n\r\n')))
  await first.saw(/^HTTP\/1\.1 101 /)
  expect(await (await socket()).saw('\r\n\r\n')).toMatch(/^HTTP\/1\.1 429 .*error=connection_limit_reached/is)
  first.destroy()
  server.destroy()
  const next = backend.accept().then(() => true)
  // Until it is known that the first has gone, others are refused.
  await until(async () => Promise.race([next, (await socket()).ended.then(() => false)]))
})

describe('credentials', () => {
  const env = { PROXY_USER: 'user', PROXY_PASS: 'right' }

  test('may follow a 407 to CONNECT on the same connection, as may any other request', async () => {
    const { port } = await proxy(env)
    const wire = await Wire.to(port)
    const head = `CONNECT 127.0.0.1:${origin.port} HTTP/1.1\r\nHost: a\r\n`
    wire.write(`${head}\r\n`)
    const refused = replyIn(await wire.saw(/}\s*$/))
    expect([refused.status, refused.headers['connection']]).toEqual([407, 'keep-alive'])
    wire.write(`GET http://127.0.0.1:${origin.port}/ HTTP/1.1\r\nHost: a\r\n\r\n`)
    await until(() => wire.text.split('HTTP/1.1 407').length === 3)
    wire.write(`${head}Proxy-Authorization: Basic ${Buffer.from('user:right').toString('base64')}\r\n\r\n`)
    await wire.saw('200 Connection Established')
    wire.destroy()
  })

  test('that are missing or wrong are 407 with a challenge, for URLs and tunnels', async () => {
    const { port } = await proxy(env)
    for (const user of [undefined, 'user:wrong', 'other:right', 'user']) {
      const options = { user, from: newClient() }
      for (const reply of [
        await askThrough(port, origin.url, options),
        await tunnelThrough(port, origin.authority, options),
      ]) {
        expect(reply.status).toBe(407)
        expect(reply.headers['proxy-authenticate']).toBe('Basic realm="ipfleet-egress", charset="UTF-8"')
        expect(reply.headers['proxy-status']).toBe('ipfleet-egress; error=http_request_denied')
        expect(JSON.parse(reply.body)).toMatchObject({ status: 407 })
      }
    }
  })

  test('ten wrong ones are the most of a client: then nothing is looked at, and others are not affected', async () => {
    const egress = await proxy(env)
    const from = newClient()
    for (let guess = 0; guess < 10; guess += 1) {
      expect((await ask(egress, { from, user: `user:guess-${guess}` })).status).toBe(407)
    }
    const { status, headers } = await ask(egress, { from, user: 'user:right' })
    expect([status, Number(headers['retry-after']) > 0]).toEqual([429, true])
    expect((await ask(egress, { from: newClient(), user: 'user:right' })).status).toBe(200)
  })

  test('that are missing are no failure, however often', async () => {
    const egress = await proxy(env)
    const from = newClient()
    expect(await statusesOf([egress], 15, { from })).toEqual(times(15, 407))
    expect((await ask(egress, { from, user: 'user:right' })).status).toBe(200)
  })

  test('of users who are not known use up nobody’s requests, have none of their own, and are not in Redis', async () => {
    const [egress] = await fleetOfTwo({ ...env, RATE_LIMIT_BURST: '3', RATE_LIMIT_REFILL: '0.001' })
    if (egress === undefined) throw new Error('no proxy')
    const from = newClient()
    observer.clear()
    for (const name of ['invented-1', 'invented-2', 'invented-3', 'invented-4', 'user']) {
      expect((await ask(egress, { from, user: `${name}:wrong` })).status).toBe(407)
    }
    await observer.caughtUp()
    expect(JSON.stringify(observer.commands())).not.toMatch(/invented|127\.0\.7/)
    const right = { from, user: 'user:right' }
    expect(await statusesOf([egress], 4, right)).toEqual([200, 200, 200, 429])
  })

  test('that nobody asked for give no budget of their own where everybody is let in', async () => {
    const egress = await proxy({ RATE_LIMIT_BURST: '3', RATE_LIMIT_REFILL: '0.001' })
    const from = newClient()
    const statuses: number[] = []
    for (let turn = 0; turn < 4; turn += 1) statuses.push((await ask(egress, { from, user: `me-${turn}:x` })).status)
    expect(statuses).toEqual([200, 200, 200, 429])
  })

  test('make one client of all addresses that a user comes from', async () => {
    const egress = await proxy({ ...env, RATE_LIMIT_BURST: '3', RATE_LIMIT_REFILL: '0.001' })
    const statuses: number[] = []
    for (let turn = 0; turn < 4; turn += 1) {
      statuses.push((await ask(egress, { from: newClient(), user: `user-session-${turn}:right` })).status)
    }
    expect(statuses).toEqual([200, 200, 200, 429])
  })
})

/** A file of users with these options, each with a password made of the name. */
async function usersFile(...lines: readonly (readonly [name: string, options: string])[]) {
  const folder = await temporaryFolder('users')
  opened.push(() => folder.remove())
  const path = join(folder.path, 'users')
  const write = async (rows: typeof lines): Promise<void> => {
    const cheap = { N: 2, r: 1, p: 1 }
    const hashed = rows.map(async ([name, options]) => {
      return `${name}:${showPasswordHash(await hashPassword(`${name}-password`, cheap))} ${options}\n`
    })
    await writeFile(path, (await Promise.all(hashed)).join(''))
  }
  await write(lines)
  return { path, write }
}

const as = (name: string): ThroughOptions => ({ user: `${name}:${name}-password` })

describe('a users file', () => {
  test('gives each user a burst, a list of targets and a number of tunnels', async () => {
    const { path } = await usersFile(
      ['few', 'burst=3 refill=0.001'],
      ['picky', 'allow=127.0.0.9,.allowed.test'],
      ['narrow', 'tunnels=2'],
    )
    const egress = await proxy({ USERS_FILE: path, ALLOW_TARGETS: 'loopback' })
    expect(await statusesOf([egress], 5, as('few'))).toEqual([...times(3, 200), ...times(2, 429)])

    const elsewhere = await RecordingOrigin.start({ host: '127.0.0.9' })
    opened.push(() => elsewhere[Symbol.asyncDispose]())
    expect((await askThrough(egress.port, elsewhere.url, as('picky'))).status).toBe(200)
    const kept = await ask(egress, as('picky'))
    expect([kept.status, kept.headers['proxy-status']]).toEqual([
      403,
      'ipfleet-egress; error=http_request_denied; details="user"',
    ])

    const tunnels = await Promise.all([1, 2].map(() => tunnelThrough(egress.port, origin.authority, as('narrow'))))
    const third = await tunnelThrough(egress.port, origin.authority, as('narrow'))
    expect([...tunnels, third].map(({ status }) => status)).toEqual([200, 200, 429])
    expect(third.headers['proxy-status']).toMatch(/error=connection_limit_reached/)
    tunnels[0]?.wire.destroy()
    await until(async () => {
      const { status, wire } = await tunnelThrough(egress.port, origin.authority, as('narrow'))
      wire.destroy()
      return status === 200
    })
  })

  test('is read again when it changes; while it is no good, those before stay', async () => {
    const { path, write } = await usersFile(['alice', ''], ['bob', ''])
    const egress = await proxy({ USERS_FILE: path })
    const statuses = async (...names: readonly string[]): Promise<number[]> =>
      Promise.all(names.map(async (name) => (await ask(egress, { ...as(name), from: newClient() })).status))
    expect(await statuses('alice', 'bob', 'carol')).toEqual([200, 200, 407])
    await write([
      ['bob', 'burst=1 refill=0.001'],
      ['carol', ''],
    ])
    await egress.waitForLine(({ msg, users }) => msg === 'users file read again' && users === 2)
    expect(await statuses('alice', 'bob', 'carol')).toEqual([407, 200, 200])
    expect(await statuses('bob')).toEqual([429])
    await writeFile(path, 'dave:canary-plain-password\n')
    await egress.waitForLine(({ msg }) => msg === 'users file is no good; those before stay')
    expect(await statuses('carol', 'dave')).toEqual([200, 407])
    expect(egress.output()).not.toContain('canary')
  })
})

test('no password and no token of a client gets into the log, Redis, the metrics or to the origin', async () => {
  const env = { PROXY_USER: 'user', PROXY_PASS: 'canary-right', LOG_LEVEL: 'trace', REDIS_URL: redis.url }
  const egress = await proxy({ ...env, RATE_LIMIT_BURST: '20' })
  await until(async () => (await egress.metrics()).includes('egress_redis_up 1\n'))
  observer.clear()
  origin.forget()
  const secrets = { Authorization: 'Bearer canary-bearer', Cookie: 'session=canary-cookie', 'X-Api-Key': 'canary-key' }
  const url = `${origin.url}path?token=canary-query`
  for (const user of [
    'user:canary-right',
    'user:canary-wrong',
    'canary-name:canary-right',
    'user-session-a-canary-x:b',
  ]) {
    await askThrough(egress.port, url, { user, headers: secrets })
    const { wire } = await tunnelThrough(egress.port, origin.authority, { user, headers: secrets })
    wire.destroy()
  }
  await askThrough(egress.port, 'http://canary-user:canary-pass@127.0.0.1/', { headers: secrets })
  expect(origin.arrivals).toEqual([expect.objectContaining({ url: '/path?token=canary-query' })])
  expect(origin.arrivals[0]?.headers).toMatchObject({ authorization: 'Bearer canary-bearer' })
  expect(origin.arrivals[0]?.headers).not.toHaveProperty('proxy-authorization')
  await observer.caughtUp()
  const written = [egress.output(), await observer.dump(), JSON.stringify(observer.commands()), await egress.metrics()]
  for (const text of written) {
    expect(text).not.toMatch(/canary/i)
    expect(text).not.toContain(Buffer.from('user:canary-right').toString('base64'))
  }
})
