import { writeFile } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { namesEnvironment } from '@ipfleet/testing/names-environment.ts'
import { temporaryFolder, type TemporaryFolder } from '@ipfleet/testing/service-process-folder.ts'
import { Wire } from '@ipfleet/testing/wire.ts'
import { RecordingOrigin } from './recording-origin.ts'
import { type RunningEgress, startEgress } from './start-egress.ts'
import { askInTunnel, askThrough, type Reply, replyIn, tunnelThrough } from './through.ts'

/** Where nobody gets to through the proxy, however the place is spelled. */

const interfaces = Object.values(networkInterfaces()).flatMap((addresses = []) => addresses)
const hasIpv6 = interfaces.some(({ family }) => family === 'IPv6')
const ownAddress = interfaces.find(({ internal, family }) => !internal && family === 'IPv4')?.address ?? '127.0.0.1'

let folder: TemporaryFolder
let names = ''
/** On all addresses of this machine, so that whatever leads to it is noticed. */
let origin: RecordingOrigin
let egress: RunningEgress

beforeAll(async () => {
  folder = await temporaryFolder('names')
  names = join(folder.path, 'names.json')
  origin = await RecordingOrigin.start({ host: hasIpv6 ? '::' : '0.0.0.0' })
  await resolveTo({
    localhost: ['127.0.0.1'],
    'loopback.test': ['127.0.0.1'],
    'loopback6.test': ['::1'],
    'mapped.test': ['::ffff:127.0.0.1'],
    'nat64.test': ['64:ff9b::7f00:1'],
    'lan.test': ['192.168.1.1'],
    'metadata.test': ['169.254.169.254'],
    'all-private.test': ['10.0.0.1', '127.0.0.1', 'fd00::1'],
  })
  egress = await startEgress({ ALLOW_TARGETS: '', ...namesEnvironment(names) })
})
beforeEach(() => origin.forget())
afterAll(async () => {
  await egress.stop()
  await origin[Symbol.asyncDispose]()
  await folder.remove()
})

function resolveTo(addresses: Readonly<Record<string, readonly string[]>>): Promise<void> {
  return writeFile(names, JSON.stringify(addresses))
}

/** A head as it stands here, and the whole answer. */
async function answerTo(head: string, { port } = egress): Promise<Reply> {
  const wire = await Wire.to(port)
  wire.write(head)
  await wire.ended
  wire.destroy()
  return replyIn(wire.text)
}

const connectTo = (target: string, host = target, proxy = egress): Promise<Reply> =>
  answerTo(`CONNECT ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`, proxy)
const askFor = (url: string, proxy = egress): Promise<Reply> =>
  answerTo(`GET ${url} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n`, proxy)

function expectRefusal({ status, headers, body }: Reply, expected: number, proxyStatus: string | RegExp): void {
  expect([status, headers['content-type']]).toEqual([expected, 'application/json; charset=utf-8'])
  expect(headers['proxy-status']).toMatch(proxyStatus)
  expect(JSON.parse(body)).toMatchObject({ status: expected, error: { title: expect.any(String) } })
}

/** Neither here nor anywhere else. */
async function expectNothingDialled(): Promise<void> {
  expect(origin.connections).toBe(0)
  expect(await egress.metrics()).not.toContain('\nipfleet_egress_source_connects_total{')
}
afterEach(expectNothingDialled)

describe('what is private, or this machine, is refused with 403', () => {
  const hosts = [
    '127.0.0.1',
    '127.255.255.254',
    '0.0.0.0',
    '10.0.0.1',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.0.1',
    '100.64.0.1',
    '169.254.169.254',
    '168.63.129.16',
    '192.0.2.1',
    '198.18.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '127.0.0.1.',
    '[::1]',
    '[::]',
    '[0:0:0:0:0:0:0:1]',
    '[::ffff:127.0.0.1]',
    '[::FFFF:7F00:1]',
    '[::ffff:169.254.169.254]',
    '[::127.0.0.1]',
    '[64:ff9b::7f00:1]',
    '[64:ff9b::a9fe:a9fe]',
    '[64:ff9b:1::1]',
    '[2002:7f00:1::]',
    '[2002:a9fe:a9fe::1]',
    '[2001:0:7f00:1::]',
    '[2001:0:5ef5:79fd:0:0:80ff:fffe]',
    '[fe80::1]',
    '[fec0::1]',
    '[fd00:ec2::254]',
    '[ff02::1]',
    '[2001:db8::1]',
    'localhost',
    'LOCALHOST',
    'localhost.',
    'Loopback.Test.',
    'loopback6.test',
    'mapped.test',
    'nat64.test',
    'lan.test',
    'metadata.test',
    'all-private.test',
  ]

  test.each(hosts)('%s', async (host) => {
    const prohibited = 'ipfleet-egress; error=destination_ip_prohibited; details="private"'
    expectRefusal(await connectTo(`${host}:${origin.port}`), 403, prohibited)
    expectRefusal(await askFor(`http://${host}:${origin.port}/`), 403, prohibited)
  })

  test('an address of this machine that is none of these', async () => {
    expectRefusal(await connectTo(`${ownAddress}:${origin.port}`), 403, /error=destination_ip_prohibited/)
  })

  test('ports that CONNECT must not go to, whatever the target', async () => {
    for (const port of [22, 25, 1023]) {
      expectRefusal(await connectTo(`loopback.test:${port}`), 403, /error=http_request_denied; details="port"$/)
    }
  })
})

describe('what is no target is refused with 400', () => {
  test.each([
    'host',
    'host:',
    ':443',
    'host:0',
    'host:65536',
    'host:$p',
    'host:0443',
    'host:443/',
    'host:443?',
    'u:p@host:443',
    'http://host:443',
    'http://host',
    '[::1:80',
    '[::1]',
    '::1:443',
    '[fe80::1%eth0]:443',
    '[fe80::1%25eth0]:443',
    '0177.0.0.1:443',
    '0x7f.1:443',
    '2130706433:443',
    '127.1:443',
    '017700000001:443',
    '127.0.0.1..:443',
    '127.0.0.0x1:443',
    '%31%32%37.0.0.1:443',
    'a..test:443',
    '-:443',
    'loopback.test%00.example:443',
  ])('CONNECT %j', async (target) => {
    expectRefusal(await connectTo(target), 400, /^ipfleet-egress; error=http_request_error/)
  })

  test.each([
    '/',
    '*',
    'http:///path',
    'http://:80/',
    'https://loopback.test/',
    'ftp://loopback.test/',
    'http://u:p@x@loopback.test/',
    'http://loopback.test:0/',
    'http://loopback.test:65536/',
    'http://0177.0.0.1/',
    'http://0x7f.1/',
    'http://2130706433/',
    'http://127.1/',
    'http://[::1/',
    'http://[fe80::1%25eth0]/',
    'http://loopback.test%00.example/',
    'http://loopback.test/#fragment',
  ])('GET %j', async (url) => {
    expectRefusal(await askFor(url), 400, /^ipfleet-egress; error=http_request_error/)
  })

  test.each([
    ['CONNECT', 'loopback.test\u0000.example:443'],
    ['CONNECT', 'loopback.test\\.example:443'],
    // One full-width digit, in UTF-8.
    ['CONNECT', '\u00ef\u00bc\u0091.1.1.1:443'],
    ['GET', 'http://loopback.test\u0000.example/'],
    ['GET', 'http://loopback.test\\@other.test/'],
    ['GET', 'http://loopback.test/\u0000'],
  ])('what is not even HTTP: %s %j', async (method, target) => {
    const { status, headers, body } = await answerTo(`${method} ${target} HTTP/1.1\r\nHost: a.test\r\n\r\n`)
    expect([status, headers['content-type']]).toEqual([400, 'application/json; charset=utf-8'])
    expect(JSON.parse(body)).toMatchObject({ status: 400 })
  })

  test('the request line of CONNECT is judged, whatever its Host says', async () => {
    const refused = await connectTo('10.0.0.1:443', 'loopback.test:443')
    expectRefusal(refused, 403, /error=destination_ip_prohibited/)
  })
})

test('a name that is not there is 502, and says so', async () => {
  expectRefusal(await connectTo('nowhere.test:443'), 502, 'ipfleet-egress; error=dns_error; details="ENOTFOUND"')
  expectRefusal(await askFor('http://nowhere.test/'), 502, 'ipfleet-egress; error=dns_error; details="ENOTFOUND"')
})

test('the proxy itself stays refused, where it listens and where its metrics are, although all is allowed', async () => {
  await using proxy = await startEgress({
    ALLOW_TARGETS: 'loopback,.test',
    CONNECT_PORTS: '*',
    ...namesEnvironment(names),
  })
  for (const port of [proxy.port, proxy.metricsPort]) {
    for (const host of ['127.0.0.1', 'loopback.test', '0.0.0.0', '[::ffff:127.0.0.1]']) {
      expectRefusal(await connectTo(`${host}:${port}`, undefined, proxy), 403, /error=destination_ip_prohibited/)
      expectRefusal(await askFor(`http://${host}:${port}/`, proxy), 403, /error=destination_ip_prohibited/)
    }
  }
})

test('what is denied stays denied, also when it is allowed, in every spelling', async () => {
  const lists = { ALLOW_TARGETS: 'loopback,.test', DENY_TARGETS: '127.0.0.1,.lan.test,localhost' }
  await using proxy = await startEgress({ ...lists, ...namesEnvironment(names) })
  for (const host of ['127.0.0.1', '[::ffff:7f00:1]', '[64:ff9b::7f00:1]', 'LAN.test.', 'Localhost', 'loopback.test']) {
    const reply = await connectTo(`${host}:${origin.port}`, undefined, proxy)
    expectRefusal(reply, 403, 'ipfleet-egress; error=http_request_denied; details="denied"')
  }
})

describe('a name', () => {
  const allowed = '127.0.0.9'
  const forbidden = '127.0.0.1'
  let good: RecordingOrigin
  let bad: RecordingOrigin
  beforeAll(async () => {
    good = await RecordingOrigin.start({ host: allowed })
    bad = await RecordingOrigin.start({ host: forbidden, port: good.port })
  })
  afterAll(() => Promise.all([good[Symbol.asyncDispose](), bad[Symbol.asyncDispose]()]))

  test('that has another address when it is dialled than when it was checked does not lead there', async () => {
    const preload = fileURLToPath(new URL('fickle-names-preload.ts', import.meta.url))
    const answers = { 'a.test': [allowed, forbidden], 'b.test': [allowed, forbidden] }
    const resolver = { RESOLVER: 'system', NODE_OPTIONS: `--import=${preload}`, TEST_ANSWERS: JSON.stringify(answers) }
    await using proxy = await startEgress({ ALLOW_TARGETS: allowed, ...resolver })
    const url = `http://a.test:${good.port}/`
    expect((await askThrough(proxy.port, url)).status).toBe(200)
    expectRefusal(await askThrough(proxy.port, url), 403, /error=destination_ip_prohibited/)
    const authority = `b.test:${good.port}`
    const tunnel = await tunnelThrough(proxy.port, authority)
    expect((await askInTunnel(tunnel, authority)).status).toBe(200)
    expectRefusal(await tunnelThrough(proxy.port, authority), 403, /error=destination_ip_prohibited/)
    expect([good.arrivals.length, bad.connections]).toEqual([2, 0])
  })

  test('with addresses of both kinds leads to the allowed ones only, also when those are dead', async () => {
    await resolveTo({ 'both.test': [forbidden, allowed] })
    await using proxy = await startEgress({ ALLOW_TARGETS: allowed, ...namesEnvironment(names) })
    good.forget()
    expect((await askThrough(proxy.port, `http://both.test:${good.port}/`)).status).toBe(200)
    expect(good.arrivals[0]?.headers.host).toBe(`both.test:${good.port}`)
    await using alone = await RecordingOrigin.start({ host: forbidden })
    expectRefusal(await connectTo(`both.test:${alone.port}`, undefined, proxy), 502, /error=connection_refused/)
    expect([good.arrivals.length, bad.connections, alone.connections]).toEqual([1, 0, 0])
  })
})
