import { once } from 'node:events'
import { copyFile, readFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type TestCertificate, testCertificate } from '@ipfleet/testing/test-certificate.ts'
import { chooseRedisProvider } from '@ipfleet/testing/redis-provider-choice.ts'
import { until } from '@ipfleet/testing/until.ts'
import { freePort } from '@ipfleet/testing/service-process-port.ts'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { startTestSentinels, type TestSentinels } from '@ipfleet/testing/test-sentinels.ts'
import type { Redis } from '../src/connection.ts'
import { logLink } from '../src/log-link.ts'
import { RedisLink, type RedisLinkOptions } from '../src/redis-link.ts'
import { problemOf } from '../src/redis-problem.ts'
import { RedisUnavailable } from '../src/redis-unavailable.ts'
import { Subscriber } from '../src/subscriber.ts'
import { connectAdmin } from './admin.ts'

const needs = ['cjson', 'GET', 'SET', 'PUBLISH', 'HSET', 'PEXPIRE']
let certificate: TestCertificate
let plain: TestRedis
let locked: TestRedis
let tls: TestRedis
/** Wants certificates of its clients. */
let strict: TestRedis
let sentinels: TestSentinels
let node: TestRedis
let admin: Redis
let web: Server
let hung: Server
/** Fails every script, in words of its own. */
let odd: Server
const links: RedisLink[] = []

beforeAll(async () => {
  certificate = await testCertificate()
  const { certFile, keyFile } = certificate
  const [tlsPort, strictPort, busPort] = [await freePort(), await freePort(), await freePort()]
  const files = ['--tls-cert-file', certFile, '--tls-key-file', keyFile, '--tls-ca-cert-file', certFile]
  // A container would not see the files, nor publish the second port; nor is it awaited where PING is refused.
  const { provider } = await chooseRedisProvider('local')
  const start = (...args: string[]): Promise<TestRedis> => startTestRedis({ provider, args })
  ;[plain, locked, tls, strict, sentinels, node] = await Promise.all([
    startTestRedis(),
    start('--requirepass', 'right'),
    start('--tls-port', String(tlsPort), ...files, '--tls-auth-clients', 'no'),
    start('--tls-port', String(strictPort), ...files),
    startTestSentinels({ replicas: 0, password: 'right' }),
    start('--cluster-enabled', 'yes', '--cluster-port', String(busPort)),
  ])
  tls = { ...tls, url: `rediss://localhost:${tlsPort}` }
  strict = { ...strict, url: `rediss://localhost:${strictPort}` }
  admin = await connectAdmin(plain.url)
  await admin.call('ACL', 'SETUSER', 'weak', 'on', '>pw', '~ipfleet:*', '&ipfleet:*', '+@all', '-hset', '-info')
  web = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    socket.on('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
  }).listen(0, '127.0.0.1')
  hung = createServer((socket) => socket.on('error', () => socket.destroy()).resume()).listen(0, '127.0.0.1')
  odd = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    socket.on('data', (bytes) => {
      const commands = bytes.toString('latin1').match(/^\*\d+\r\n\$\d+\r\n\w+/gm) ?? []
      for (const command of commands) socket.write(command.endsWith('EVALSHA') ? '-ERR bad argument #1\r\n' : '+OK\r\n')
    })
  }).listen(0, '127.0.0.1')
  await Promise.all([once(web, 'listening'), once(hung, 'listening'), once(odd, 'listening')])
})

afterAll(async () => {
  for (const link of links) link.close()
  admin.disconnect()
  web.close()
  hung.close()
  odd.close()
  await Promise.all([plain.stop(), locked.stop(), tls.stop(), strict.stop(), sentinels.stop(), node.stop()])
  await certificate[Symbol.asyncDispose]()
})

function open(url: string, options: Partial<RedisLinkOptions> = {}): { link: RedisLink; lines: string[] } {
  const link = new RedisLink({ url, name: 'state', needs, timeoutMs: 15_000, ...options })
  links.push(link)
  const lines: string[] = []
  const line = (fields: object, message: string): void => {
    lines.push([message, ...('reason' in fields ? [String(fields.reason)] : [])].join(': '))
  }
  logLink(link, { info: line, warn: line }, 'going on without it')
  return { link, lines }
}

/** Resolves when so many more attempts to connect, or commands, have come to their end. */
function moreAttempts(link: RedisLink, count: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  let left = count
  const ended = (): void => {
    left -= 1
    if (left === 0) resolve()
  }
  link.client.on('close', ended)
  link.client.on('sentinelError', ended)
  link.client.on('node error', ended)
  link.on('command', ended)
  return promise
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port
const unused = 'redis://127.0.0.1:1'
const asCluster = (url: string): string => url.replace('redis:', 'redis+cluster:')

const isLate = (line: string): boolean => /in time|ETIMEDOUT/.test(line)

// A link waits between its attempts, so they are tried side by side.
test.concurrent.each([
  ['a wrong password', () => locked.url.replace('//', '//:canary@'), 'WRONGPASS', /refuses the user or the password/],
  ['no password', () => locked.url, 'NOAUTH', /wants a password/],
  ['an unknown user', () => plain.url.replace('//', '//nobody:canary@'), 'WRONGPASS', /refuses the user/],
  ['an untrusted certificate', () => tls.url, 'CERTIFICATE', /not trusted.*REDIS_CA/],
  ['no socket', () => 'unix:///nowhere/redis.sock', 'ENOENT', /no socket at \/nowhere\/redis\.sock/],
  ['TLS to a plain port', () => plain.url.replace('redis:', 'rediss:'), 'ETIMEDOUT', /redis:\/\/ instead of rediss/],
  ['no TLS to a TLS port', () => tls.url.replace('rediss:', 'redis:'), 'CLOSED', /want TLS.*maxclients/],
  ['a name that does not resolve', () => 'redis://nowhere.invalid', 'ENOTFOUND', /nowhere\.invalid does not resolve/],
  ['a port where nothing listens', () => unused, 'ECONNREFUSED', /nothing listens at 127\.0\.0\.1:1/],
  ['a database that does not exist', () => `${plain.url}/99`, 'DB', /no database of the number/],
  [
    'no Sentinel',
    () => 'redis+sentinel://127.0.0.1:1,127.0.0.1:2/m',
    'SENTINELS',
    /none of .*127\.0\.0\.1:1, 127\.0\.0\.1:2/,
  ],
  [
    'a server that is no Sentinel',
    () => `${plain.url.replace('redis:', 'redis+sentinel:')}/m`,
    'SENTINEL',
    /is no Sentinel/,
  ],
  ['Sentinels without their password', () => sentinels.url, 'SENTINEL_AUTH', /see REDIS_SENTINEL_USERNAME/],
  ['a node of a Cluster', () => node.url, 'CLUSTER', /set REDIS_URL=redis\+cluster:\/\/127\.0\.0\.1:\d+$/],
  ['a server of no Cluster', () => asCluster(plain.url), 'NO_CLUSTER', /is no node of a Cluster/],
  ['nodes that are away', () => 'redis+cluster://127.0.0.1:1,127.0.0.1:2', 'ETIMEDOUT', /none of the nodes at 127/],
  [
    'a password for a Cluster',
    () => asCluster(locked.url).replace('//', '//:canary@'),
    'WRONGPASS',
    /refuses the user/,
  ],
  ['a server of something else', () => `redis://127.0.0.1:${portOf(web)}`, 'PROTOCOL', /no Redis/],
  [
    'a server that is only like Redis',
    () => `redis://127.0.0.1:${portOf(odd)}`,
    'SCRIPTS',
    /cannot run the scripts that are needed \(ERR bad argument #1\): use Redis/,
  ],
  [
    'a user without a command',
    () => plain.url.replace('//', '//weak:pw@'),
    'NOPERM',
    /may not do what is needed \(HSET\)/,
  ],
])('%s is told once, with its reason, and is not used', async (_name, url, code, reason) => {
  const { link, lines } = open(url())
  await until(() => link.condition.trouble?.problem.code === code)
  await moreAttempts(link, 3)
  expect(link.up).toBe(false)
  // A process that stands still for a second takes the server for one that does not answer, until it has.
  const late = lines.filter((line) => isLate(line) && !reason.test(line))
  const told = lines.filter((line) => !late.includes(line))
  expect(told.length).toBeLessThanOrEqual(1 + late.length)
  expect(told).toContainEqual(expect.stringMatching(reason))
  expect(new Set(told).size).toBe(1)
  expect(told[0]).toMatch(/^redis is away; going on without it: /)
  expect(lines.join()).not.toContain('canary')
  const refusal = await link.run((client) => client.get('k')).catch((error: unknown) => error)
  expect(refusal).toBeInstanceOf(RedisUnavailable)
  expect(await admin.dbsize()).toBe(0)
  link.close()
})

test('a name that the Sentinels do not know is told, and a Sentinel that is taken for a server', async () => {
  const sentinelPassword = 'right'
  const { lines } = open(sentinels.url.replace(/[^/]*$/, 'canary'), { sentinelPassword })
  await until(() => lines.length > 0)
  expect(lines).toEqual([expect.stringMatching(/know no master of the name in REDIS_URL$/)])
  const asServer = open(sentinels.url.replace('+sentinel', '').replace(/\/[^/]*$/, ''), { password: sentinelPassword })
  await until(() => asServer.lines.length > 0)
  expect(asServer.lines).toEqual([expect.stringMatching(/REDIS_URL=redis\+sentinel:\/\/127\.0\.0\.1:\d+\/NAME/)])
  await once(open(sentinels.url, { sentinelPassword }).link, 'up')
})

test('a server to whose scripts absent keys are texts is told', async () => {
  const selfTest = await readFile(new URL('../src/self-test.lua', import.meta.url), 'utf8')
  const like = `local server = redis
    local redis = { pcall = function(name, ...) return name == 'MGET' and { '' } or server.pcall(name, ...) end }`
  const found = await admin.eval(`${like}\n${selfTest}`, 1, 'ipfleet:k', 'ipfleet:c', 'GET', 'MGET', 'DEL')
  expect(found).toEqual(['MGET', 'absent keys are not false'])
  expect(problemOf(new Error('absent keys are not false'), undefined, 'MGET')?.message).toMatch(/needed \(MGET\): use/)
})

test('a server that wants certificates of its clients says so, and takes one', async () => {
  const { certFile: ca, keyFile: key } = certificate
  const { link, lines } = open(strict.url, { tls: { ca }, settings: 'REDIS_CACHE' })
  await once(link.condition, 'trouble')
  expect(lines).toEqual([
    expect.stringMatching(/want.* a certificate of its clients.*REDIS_CACHE_CERT.*REDIS_CACHE_KEY/),
  ])
  await once(open(strict.url, { tls: { ca, cert: ca, key } }).link, 'up')
})

test('files of certificates that change count from the next connection on', async () => {
  await using other = await testCertificate()
  const { link } = open(tls.url, { tls: { ca: other.certFile } })
  await once(link.condition, 'trouble')
  const up = once(link, 'up')
  await copyFile(certificate.certFile, other.certFile)
  await up
})

test('a certificate that is renewed before its key is told, and used when both are', async () => {
  await using own = await testCertificate()
  await using other = await testCertificate()
  const { certFile: ca } = certificate
  const { link, lines } = open(strict.url, { tls: { ca, cert: own.certFile, key: own.keyFile } })
  await once(link.condition, 'trouble')
  await copyFile(other.certFile, own.certFile)
  await until(() => lines.some((line) => /REDIS_CERT .* REDIS_KEY do not belong together/.test(line)))
  await moreAttempts(link, 2)
  const up = once(link, 'up')
  await copyFile(certificate.keyFile, own.keyFile)
  await copyFile(certificate.certFile, own.certFile)
  await up
})

test('a server that hangs from the start is reported as silent, not as one that ends connections', async () => {
  const { link, lines } = open(`redis://127.0.0.1:${portOf(hung)}`, { timeoutMs: 1000 })
  await once(link.condition, 'trouble')
  expect([link.up, link.condition.trouble?.problem.code]).toEqual([false, 'TIMEOUT'])
  expect(lines).toEqual([
    expect.stringMatching(/^redis is away; .*: the server at \S+ does not answer in time \(REDIS_TIMEOUT_MS\)$/),
  ])
})

describe('a server that begins to refuse', () => {
  test.concurrent('connections, after it was away: told that it ends them at once', async () => {
    await using own = new AsyncDisposableStack()
    const server = own.adopt(await startTestRedis(), (started) => started.stop())
    const orders = own.adopt(await connectAdmin(server.url), (client) => client.disconnect())
    const { link, lines } = open(server.url)
    await once(link, 'up')
    await orders.call('CONFIG', 'SET', 'maxclients', '1')
    await orders.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    await until(() => link.condition.trouble?.problem.code === 'CLOSED')
    expect(lines.at(-1)).toMatch(/^redis is away; .* as many clients as it takes \(maxclients\)/)
    const well = once(link.condition, 'well')
    await orders.call('CONFIG', 'SET', 'maxclients', '100')
    await well
    link.close()
  })

  test.concurrent('most commands, and not the test: told once or twice, however often it comes and goes', async () => {
    await using own = new AsyncDisposableStack()
    const server = own.adopt(await startTestRedis(), (started) => started.stop())
    const orders = own.adopt(await connectAdmin(server.url), (client) => client.disconnect())
    const { link, lines } = open(server.url, { needs: [], timeoutMs: 1000 })
    await once(link, 'up')
    let falls = 0
    link.on('down', () => (falls += 1))
    await orders.call('CLIENT', 'PAUSE', '600000', 'WRITE')
    const writing = setInterval(() => link.run((client) => client.set('ipfleet:k', 'v')).catch(() => {}), 50)
    own.defer(() => clearInterval(writing))
    await until(() => falls >= 4)
    expect(link.condition.trouble).toBeDefined()
    const well = once(link.condition, 'well')
    await orders.call('CLIENT', 'UNPAUSE')
    await well
    // Once it may have been a failover.
    expect(lines.filter((line) => line.startsWith('redis is away; ')).length).toBeLessThanOrEqual(2)
    expect(lines.at(-1)).toBe('redis is up')
    link.close()
  })

  test.concurrent('a connection for messages: told, while commands go on', async () => {
    await using own = new AsyncDisposableStack()
    const server = own.adopt(await startTestRedis(), (started) => started.stop())
    const orders = own.adopt(await connectAdmin(server.url), (client) => client.disconnect())
    const { link, lines } = open(server.url)
    const subscriber = own.adopt(new Subscriber({ url: server.url }), (opened) => opened.close())
    subscriber.onRefused((error) => link.refused(error))
    await Promise.all([once(link, 'up'), subscriber.subscribe('ipfleet:c', () => {})])
    await until(async () => (await orders.pubsub('NUMSUB', 'ipfleet:c'))[1] === 1)
    await orders.call('CONFIG', 'SET', 'requirepass', 'canary')
    await orders.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
    await once(link.condition, 'trouble')
    expect([link.condition.trouble?.problem.code, link.up]).toEqual(['UNHEARD', true])
    expect(lines.at(-1)).toMatch(/^redis sends no messages: .* another password/)
    const well = once(link.condition, 'well')
    await orders.call('CONFIG', 'SET', 'requirepass', '')
    await well
    expect(lines).toHaveLength(3)
    link.close()
  })

  test.concurrent.each([
    ['READONLY', ['REPLICAOF', '127.0.0.1', '1'], ['REPLICAOF', 'NO', 'ONE'], false],
    [
      'NOREPLICAS',
      ['CONFIG', 'SET', 'min-replicas-to-write', '1'],
      ['CONFIG', 'SET', 'min-replicas-to-write', '0'],
      true,
    ],
    ['WRONGTYPE', ['RPUSH', 'ipfleet:h', 'v'], ['DEL', 'ipfleet:h'], true],
    ['OOM', ['CONFIG', 'SET', 'maxmemory', '1'], ['CONFIG', 'SET', 'maxmemory', '0'], true],
    ['NOPERM', ['ACL', 'SETUSER', 'default', '-publish'], ['ACL', 'SETUSER', 'default', '+publish'], false],
  ] as const)('%s: one line when it begins and one when it ends', async (code, begin, end, staysUp) => {
    await using own = new AsyncDisposableStack()
    const server = own.adopt(await startTestRedis(), (started) => started.stop())
    const orders = own.adopt(await connectAdmin(server.url), (client) => client.disconnect())
    const { link, lines } = open(server.url)
    await once(link, 'up')
    const order = ([name, ...rest]: readonly [string, ...string[]]): Promise<unknown> => orders.call(name, ...rest)
    await order(begin)
    const writing = setInterval(() => {
      link
        .run((client) =>
          Promise.all([
            client.set('ipfleet:k', 'v'),
            client.publish('ipfleet:c', ''),
            client.hget('ipfleet:h', 'f'),
            client.del('ipfleet:k'),
          ]),
        )
        .catch(() => {})
    }, 5)
    await once(link.condition, 'trouble')
    if (!staysUp && link.up) await once(link, 'down')
    await moreAttempts(link, 3)
    expect([link.condition.trouble?.problem.code, link.up]).toEqual([code, staysUp])
    const well = once(link.condition, 'well')
    await order(end)
    clearInterval(writing)
    await well
    expect(lines).toEqual([
      'redis is up',
      expect.stringMatching(/^redis (is away|takes no writes|holds values of another program)/),
      'redis is up',
    ])
    expect(lines[1]).not.toMatch(/does not answer|has ended/)
    expect(link.up).toBe(true)
    link.close()
  })
})
