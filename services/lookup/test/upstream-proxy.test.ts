import { once } from 'node:events'
import { type AddressInfo, connect } from 'node:net'
import { pipeline } from 'node:stream'
import { createServer, type TLSSocket } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals'
import { type FakeIpinfo, startFakeIpinfo } from '@ipfleet/testing/fake-ipinfo.ts'
import { type ServiceProcess, startReplica, startService } from '@ipfleet/testing/service-process.ts'
import { type TestCertificate, testCertificate } from '@ipfleet/testing/test-certificate.ts'
import { until } from '@ipfleet/testing/until.ts'

const egressEntry = fileURLToPath(new URL('../../egress/src/main.ts', import.meta.url))
const password = 'canary-pass:w/rd@1'
const keys = ['proxied-key-1', 'proxied-key-2']

let certificate: TestCertificate
let fake: FakeIpinfo
const cleanups: (() => unknown)[] = []

beforeAll(async () => {
  certificate = await testCertificate()
})
afterAll(async () => {
  await certificate[Symbol.asyncDispose]()
})
beforeEach(async () => {
  fake = await startFakeIpinfo()
})
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
  await fake.close()
})

/** A proxy that leaves from 127.0.0.77, and lets one user in. */
async function startProxy(env: Readonly<Record<string, string>> = {}): Promise<ServiceProcess> {
  const proxy = await startService({
    entry: egressEntry,
    name: 'egress',
    env: {
      LISTEN_ADDR: '127.0.0.1:0',
      METRICS_ADDR: '127.0.0.1:0',
      LOG_FORMAT: 'json',
      DRAIN_MS: '0',
      RATE_LIMIT_BURST: '0',
      ALLOW_TARGETS: '127.0.0.1',
      IP_POOL: '127.0.0.77',
      PROXY_USER: 'replica',
      PROXY_PASS: password,
      ...env,
    },
  })
  cleanups.push(() => proxy.stop())
  return proxy
}

async function metricsOf(proxy: ServiceProcess): Promise<string> {
  const line = proxy.lines().find(({ msg }) => msg === 'metrics at /metrics')
  return (await fetch(`http://127.0.0.1:${Number(line?.['port'])}/metrics`)).text()
}

function proxyUrl(port: number, pass = password): string {
  return `http://replica:${encodeURIComponent(pass)}@127.0.0.1:${port}`
}

/** Upstream as it is in the open: TLS, and told apart who connects. */
async function startTlsUpstream(): Promise<{ readonly url: string; readonly peers: string[] }> {
  const peers: string[] = []
  const server = createServer({ key: certificate.key, cert: certificate.cert }, (socket: TLSSocket) => {
    peers.push(socket.remoteAddress ?? '')
    const inner = connect({ host: '127.0.0.1', port: fake.port })
    pipeline(socket, inner, socket, () => {})
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanups.push(() => server.close())
  return { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, peers }
}

async function startReplicaBehind(url: string, upstreamUrl: string, env: Readonly<Record<string, string>> = {}) {
  const replica = await startReplica({
    IPINFO_KEYS: keys.join(','),
    IPINFO_BASE_URL: upstreamUrl,
    UPSTREAM_PROXY_URL: url,
    NODE_EXTRA_CA_CERTS: certificate.certFile,
    QUOTA_POLL_SECONDS: '0',
    DRAIN_MS: '0',
    ...env,
  })
  cleanups.push(() => replica.stop())
  return replica
}

/** What no log and no answer may hold. */
function expectNoPassword(...texts: readonly string[]): void {
  for (const form of [password, encodeURIComponent(password), Buffer.from(`replica:${password}`).toString('base64')]) {
    for (const text of texts) expect(text).not.toContain(form)
  }
}

async function expectNoKeyBenched(url: string): Promise<void> {
  const { keys: counts } = (await (await fetch(`${url}/stats`)).json()) as { keys: object }
  expect(counts).toEqual({ total: 2, active: 2, cooling: 0 })
}

test('upstream sees the address of the proxy, and TLS goes from end to end over a connection that is kept', async () => {
  const upstream = await startTlsUpstream()
  const proxy = await startProxy()
  const replica = await startReplicaBehind(proxyUrl(proxy.port), upstream.url)
  for (const ip of ['8.8.8.8', '8.8.4.4', '9.9.9.9']) {
    const response = await fetch(`${replica.url}/${ip}`)
    expect([response.status, await response.json()]).toMatchObject([200, { ip }])
  }
  expect(upstream.peers).toEqual(['127.0.0.77'])
  expect(fake.calls.map(({ token }) => keys.includes(token ?? ''))).toEqual([true, true, true])
  await Promise.all([replica.stop(), proxy.stop()])
  // The proxy has seen where to, and neither what nor by which key.
  expect(proxy.output()).toContain('CONNECT')
  expect(proxy.output()).not.toMatch(/8\.8\.8\.8|proxied-key/)
  expectNoPassword(replica.output(), proxy.output())
})

test('plain HTTP upstream is asked by its whole URL, over a connection to the proxy that is kept', async () => {
  const proxy = await startProxy()
  const replica = await startReplicaBehind(proxyUrl(proxy.port), fake.url)
  for (const ip of ['8.8.8.8', '8.8.4.4']) {
    const response = await fetch(`${replica.url}/${ip}`)
    expect([response.status, await response.json()]).toMatchObject([200, { ip }])
  }
  const metrics = await metricsOf(proxy)
  expect(metrics).toContain('\nipfleet_egress_open_connections 1\n')
  await proxy.stop()
  expect(proxy.lines().filter(({ msg }) => msg === 'request')).toMatchObject([
    { method: 'GET', path: '/8.8.8.8', source: '127.0.0.77' },
    { method: 'GET', path: '/8.8.4.4', source: '127.0.0.77' },
  ])
})

test.each(['https', 'http'])('a proxy that refuses the password is a failure of upstream by %s', async (scheme) => {
  const upstreamUrl = scheme === 'https' ? (await startTlsUpstream()).url : fake.url
  const proxy = await startProxy()
  const replica = await startReplicaBehind(proxyUrl(proxy.port, 'wrong-canary'), upstreamUrl)
  const response = await fetch(`${replica.url}/8.8.8.8`)
  const body = await response.text()
  expect(response.status).toBe(502)
  expect(fake.calls).toEqual([])
  await expectNoKeyBenched(replica.url)
  for (const text of [body, replica.output()]) expect(text).not.toContain('wrong-canary')
})

test.each(['https', 'http'])('a proxy that limits its clients benches no key by %s', async (scheme) => {
  const upstreamUrl = scheme === 'https' ? (await startTlsUpstream()).url : fake.url
  const proxy = await startProxy({ RATE_LIMIT_BURST: '1', RATE_LIMIT_REFILL: '0.001' })
  // Upstream gives up its connections, so that each query asks the proxy anew.
  const replica = await startReplicaBehind(proxyUrl(proxy.port), upstreamUrl)
  expect((await fetch(`${replica.url}/8.8.8.8`)).status).toBe(200)
  fake.behave({ kind: 'reset' })
  for (const ip of ['8.8.4.4', '9.9.9.9', '1.1.1.1']) expect((await fetch(`${replica.url}/${ip}`)).status).toBe(502)
  await expectNoKeyBenched(replica.url)
})

test('without the proxy, what was answered before is served as stale, and the rest fails', async () => {
  const upstream = await startTlsUpstream()
  const proxy = await startProxy()
  const replica = await startReplicaBehind(proxyUrl(proxy.port), upstream.url, {
    CACHE_TTL_SECONDS: '1',
    STALE_WHILE_REVALIDATE_SECONDS: '0',
  })
  expect((await fetch(`${replica.url}/8.8.8.8`)).status).toBe(200)
  await proxy.stop()
  await until(async () => {
    const response = await fetch(`${replica.url}/8.8.8.8`)
    expect([response.status, await response.json()]).toMatchObject([200, { ip: '8.8.8.8' }])
    return response.headers.get('cache-status')?.includes('stale') === true
  })
  const failed = await fetch(`${replica.url}/8.8.4.4`)
  expect(failed.status).toBe(502)
  expectNoPassword(await failed.text(), replica.output())
  await expectNoKeyBenched(replica.url)
})
