import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { type FakeIpasis, startFakeIpasis } from '@ipfleet/testing/fake-ipasis.ts'
import { type FakeIpinfo, startFakeIpinfo } from '@ipfleet/testing/fake-ipinfo.ts'
import { type ServiceProcess, startReplica } from '@ipfleet/testing/service-process.ts'
import { type AskOptions, cacheStatus, type HttpClient, httpClient, type Reply } from './local-fleet.ts'

/** PROVIDER=ipasis: clients ask as they would ask IPinfo, and IPASIS is asked as it wants to be. */
let client: HttpClient
let fake: FakeIpasis
let ipinfo: FakeIpinfo
let replica: ServiceProcess
const keys = { 'pasis-key-1': 1000, 'pasis-key-2': 1000, 'pasis-empty': 0 }

beforeAll(async () => {
  client = httpClient()
  fake = await startFakeIpasis({ keys })
  ipinfo = await startFakeIpinfo()
  replica = await start()
})
afterEach(() => {
  fake.heal()
  fake.clearCalls()
})
afterAll(async () => {
  client.close()
  await replica.stop()
  await fake.close()
  await ipinfo.close()
})

function start(env: Readonly<Record<string, string>> = {}): Promise<ServiceProcess> {
  return startReplica({
    PROVIDER: 'ipasis',
    IPASIS_KEYS: 'pasis-key-1,pasis-key-2',
    IPASIS_BASE_URL: fake.url,
    IPINFO_KEYS: 'ipinfo-key',
    IPINFO_BASE_URL: ipinfo.url,
    IPINFO_API_BASE_URL: ipinfo.apiUrl,
    DRAIN_MS: '0',
    ...env,
  })
}

function ask(path: string, options?: AskOptions): Promise<Reply> {
  return client.ask(replica.url, path, options)
}

/** What IPinfo would say. */
async function ipinfosRecord(ip: string): Promise<Record<string, unknown>> {
  const reply = await client.ask(ipinfo.url, `/${ip}`, { headers: { authorization: 'Bearer any' } })
  return reply.json() as Record<string, unknown>
}

describe('an answer', () => {
  test('has IPinfo’s shape, and is cached as one', async () => {
    const reply = await ask('/8.8.8.8')
    expect([reply.status, reply.headers['content-type']]).toEqual([200, 'application/json; charset=utf-8'])
    // IPASIS knows neither names nor whether an address is anycast.
    const { hostname: _hostname, anycast: _anycast, ...known } = await ipinfosRecord('8.8.8.8')
    expect(reply.json()).toMatchObject(known)
    expect(reply.json()).toMatchObject({
      asn: { asn: 'AS15169', name: 'Google LLC' },
      privacy: { vpn: false, service: '' },
      domains: { total: expect.any(Number), domains: expect.any(Array) },
    })
    expect(reply.text).not.toMatch(/"(ASN|VPN|Name|Total)"/)
    expect(cacheStatus(await ask('/8.8.8.8/json'))).toContain('detail=l1')
    expect(fake.calls).toMatchObject([{ path: '/v1/8.8.8.8', method: 'GET' }])
  })

  test.each(['city', 'country', 'loc', 'org', 'timezone'])('to the field %s comes out of the record', async (field) => {
    const expected = await ipinfosRecord('8.8.8.8')
    expect((await ask(`/8.8.8.8/${field}`)).text).toBe(`${String(expected[field])}\n`)
    expect((await ask(`/8.8.8.8/${field}`, { headers: { 'cache-control': 'no-cache' } })).text).toBe(
      `${String(expected[field])}\n`,
    )
  })

  test('to a module is that part of the record', async () => {
    expect((await ask('/9.9.9.9/privacy')).json()).toMatchObject({ vpn: expect.any(Boolean), tor: expect.any(Boolean) })
    expect(fake.calls.map(({ path }) => path)).toEqual(['/v1/9.9.9.9'])
  })

  test('to IPv6 and to reserved addresses is as with IPinfo', async () => {
    expect((await ask('/2001:4860:4860:0:0:0:0:8888')).json()).toMatchObject({ ip: '2001:4860:4860::8888' })
    expect((await ask('/10.0.0.1')).json()).toEqual({ ip: '10.0.0.1', bogon: true })
    expect(fake.calls.map(({ path }) => path)).toEqual(['/v1/2001:4860:4860::8888'])
  })

  test('to a batch comes of single queries', async () => {
    const body = JSON.stringify(['4.4.4.1', '4.4.4.2', '4.4.4.1/country', 'AS15169', '10.0.0.1'])
    const reply = await ask('/batch', { method: 'POST', body })
    expect(reply.status).toBe(200)
    expect(reply.json()).toMatchObject({
      '4.4.4.1': { ip: '4.4.4.1', asn: { asn: expect.stringMatching(/^AS/) } },
      '4.4.4.2': { ip: '4.4.4.2' },
      '4.4.4.1/country': expect.stringMatching(/^[A-Z]{2}$/),
      AS15169: { status: 501, error: { title: 'Not offered by the provider' } },
      '10.0.0.1': { bogon: true },
    })
    expect(fake.calls.map(({ path }) => path).toSorted()).toEqual(['/v1/4.4.4.1', '/v1/4.4.4.2'])
  })
})

test.each([
  '/AS15169',
  '/ranges/google.com',
  '/8.8.8.8/carrier',
  '/lite/8.8.8.8',
  '/lookup/8.8.8.8',
  '/me',
  '/whatever',
])('%s, which it has no answer to, is a 501, and no upstream is asked', async (path) => {
  const reply = await ask(path)
  expect([reply.status, reply.headers['content-type']]).toEqual([501, 'application/json; charset=utf-8'])
  expect(reply.json()).toEqual({ status: 501, error: { title: expect.any(String), message: expect.any(String) } })
  expect(fake.calls).toEqual([])
})

test('a tool of IPinfo’s is a 501 too', async () => {
  expect((await ask('/tools/other', { method: 'POST', body: '["8.8.8.8"]' })).status).toBe(501)
  expect(fake.calls).toEqual([])
})

test('its keys travel in X-API-Key and nowhere else; those of IPinfo not at all', async () => {
  await ask('/7.7.7.7')
  expect(['pasis-key-1', 'pasis-key-2']).toContain(fake.calls[0]?.token)
  expect(fake.calls[0]?.path).toBe('/v1/7.7.7.7')
  expect(JSON.stringify(ipinfo.calls)).not.toMatch(/ipinfo-key|pasis/)
  expect(replica.output()).not.toMatch(/ipinfo-key|pasis-key/)
})

describe('keys rotate as with IPinfo', () => {
  let other: ServiceProcess | undefined
  afterEach(() => other?.stop())

  test('past one that is over its limit and one that is not known', async () => {
    other = await start({ IPASIS_KEYS: 'pasis-empty,pasis-nobody,pasis-key-1' })
    for (const ip of ['5.5.5.1', '5.5.5.2', '5.5.5.3']) {
      expect((await client.ask(other.url, `/${ip}`)).status).toBe(200)
    }
    expect(fake.calls.filter(({ token }) => token === 'pasis-empty')).toHaveLength(1)
    expect(fake.calls.filter(({ token }) => token === 'pasis-nobody')).toHaveLength(1)
    const { keys: counts } = (await client.ask(other.url, '/health')).json() as { keys: object }
    expect(counts).toEqual({ total: 3, active: 1, cooling: 2 })
  })

  test('and it is never asked for an account that it has not', async () => {
    other = await start({ IPASIS_KEYS: 'pasis-empty', QUOTA_POLL_SECONDS: '1' })
    const reply = await client.ask(other.url, '/5.5.5.5')
    expect([reply.status, reply.headers['retry-after']]).toEqual([503, expect.stringMatching(/^(?:5\d|60)$/)])
    expect(fake.calls.map(({ path }) => path)).toEqual(['/v1/5.5.5.5'])
  })

  test('without keys of its own the embedded database answers, and the log says which are missing', async () => {
    other = await start({ IPASIS_KEYS: '' })
    expect(cacheStatus(await client.ask(other.url, '/8.8.8.8'))).toBe('ipfleet; detail=offline')
    expect(other.lines().some(({ msg }) => String(msg).includes('no IPASIS_KEYS'))).toBe(true)
    expect(fake.calls).toEqual([])
  })
})

test.each([
  { kind: 'reset', status: 502 },
  { kind: 'garbage', status: 502 },
  { kind: 'html', status: 502 },
  { kind: 'status', code: 500, status: 502 },
] as const)('an IPASIS that does this is told as IPinfo’s is: $kind', async ({ kind, status }) => {
  fake.behave(kind === 'status' ? { kind, status: 500 } : { kind })
  const reply = await ask('/6.6.6.6')
  expect(reply.status).toBe(status)
  expect(reply.json()).toMatchObject({ error: { title: expect.any(String) } })
  fake.heal()
  expect((await ask('/6.6.6.6', { headers: { 'cache-control': 'no-cache' } })).status).toBe(200)
})
