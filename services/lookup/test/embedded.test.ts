import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { type FakeIpinfo, startFakeIpinfo } from '@ipfleet/testing/fake-ipinfo.ts'
import { type ServiceProcess, startReplica } from '@ipfleet/testing/service-process.ts'
import { cacheStatus, type HttpClient, httpClient, type Reply } from './local-fleet.ts'

let client: HttpClient
beforeAll(() => {
  client = httpClient()
})
afterAll(() => client.close())

describe('a replica with nothing configured', () => {
  let replica: ServiceProcess
  beforeAll(async () => {
    replica = await startReplica()
  })
  afterAll(() => replica.stop())

  const ask = (path: string): Promise<Reply> => client.ask(replica.url, path)

  test('answers from the embedded database, and says so', async () => {
    const reply = await ask('/8.8.8.8')
    expect(reply.status).toBe(200)
    expect(reply.text).toContain('"country": "US"')
    expect(reply.json()).toEqual({ ip: '8.8.8.8', country: 'US', org: 'AS15169 Google LLC' })
    expect(cacheStatus(reply)).toBe('ipfleet; detail=offline')
    expect(reply.headers['age']).toBe('0')
  })

  test('says in one log line what it is and how to add keys and Redis', () => {
    const lines = replica.lines().filter(({ msg }) => String(msg).includes('embedded database'))
    expect(lines).toEqual([expect.objectContaining({ level: 'warn' })])
    expect(String(lines[0]?.['msg'])).toMatch(
      /\(country ipvAll \+ country-gaps \+ asn of \d{4}-\d\d-\d\d\).*IPINFO_KEYS=.*REDIS_URL=/,
    )
    expect(replica.lines().filter(({ level }) => level === 'warn' || level === 'error')).toHaveLength(1)
  })

  test('answers a field as one line of text', async () => {
    const reply = await ask('/8.8.8.8/country')
    expect(reply.text).toBe('US\n')
    expect(reply.headers['content-type']).toMatch(/^text\/plain/)
  })

  test('answers IPv6, in whichever spelling', async () => {
    const [short, long] = await Promise.all([ask('/2001:4860:4860::8888'), ask('/2001:4860:4860:0:0:0:0:8888/json')])
    expect(short.json()).toMatchObject({ ip: '2001:4860:4860::8888', country: 'US' })
    expect(long.text).toBe(short.text)
  })

  test.each([
    ['/4000::1', '{\n  "ip": "4000::1"\n}'],
    ['/lite/4000::1', '{\n  "ip": "4000::1"\n}'],
    ['/lookup/4000::1', '{\n  "ip": "4000::1"\n}'],
    ['/4000::1/country', '\n'],
    ['/4000::1/org', '\n'],
    ['/4000::1/asn', '{\n  "ip": "4000::1"\n}'],
    ['/8.8.8.8/city', '\n'],
    ['/8.8.8.8/hostname', '\n'],
    ['/lite/8.8.8.8/as_domain', '\n'],
    ['/lookup/8.8.8.8/geo/city', '\n'],
    ['/8.8.8.8/geo', '{\n  "ip": "8.8.8.8",\n  "country": "US"\n}'],
    ...['company', 'carrier', 'abuse', 'privacy', 'privacy_extended', 'domains', 'resproxy'].map(
      (module): [string, string] => [`/8.8.8.8/${module}`, '{\n  "ip": "8.8.8.8"\n}'],
    ),
    ['/domains/8.8.8.8?page=1', '{\n  "ip": "8.8.8.8"\n}'],
    ['/places/8.8.8.8', '{\n  "ip": "8.8.8.8"\n}'],
    ['/resproxy/8.8.8.8', '{\n  "ip": "8.8.8.8"\n}'],
    ['/8.8.8.8?fields=country', '{\n  "ip": "8.8.8.8",\n  "country": "US",\n  "org": "AS15169 Google LLC"\n}'],
  ])('says of an address what is known, and where that is nothing the address itself (%s)', async (path, expected) => {
    for (const _ of ['the first time', 'and again, since it is not stored']) {
      const reply = await ask(path)
      expect([reply.status, reply.text, cacheStatus(reply)]).toEqual([200, expected, 'ipfleet; detail=offline'])
    }
  })

  test('answers records of Core and the network as modules of their own', async () => {
    expect((await ask('/lookup/8.8.8.8')).json()).toMatchObject({
      ip: '8.8.8.8',
      geo: { country: 'United States', country_code: 'US' },
      as: { asn: 'AS15169', name: 'Google LLC' },
    })
    expect((await ask('/8.8.8.8/asn')).json()).toEqual({ asn: 'AS15169', name: 'Google LLC' })
  })

  test('answers a batch item by item; what is not known is an error of that item', async () => {
    const items = ['8.8.8.8', '8.8.8.8/country', '8.8.8.8/city', '8.8.8.8/privacy', 'AS15169', '10.0.0.1', 'nonsense']
    const body = JSON.stringify(items)
    const reply = await client.ask(replica.url, '/batch', { method: 'POST', body })
    expect(reply.status).toBe(200)
    expect(cacheStatus(reply)).toBe('ipfleet; detail=offline')
    expect(reply.json()).toMatchObject({
      '8.8.8.8': { country: 'US' },
      '8.8.8.8/country': 'US',
      '8.8.8.8/city': '',
      '8.8.8.8/privacy': { ip: '8.8.8.8' },
      AS15169: { status: 503, error: { title: 'Not available without an API key' } },
      '10.0.0.1': { bogon: true },
      nonsense: { error: {} },
    })
  })

  test.each(['/8.8.8.8/contry', '/8.8.8.8/privacy/vpn/x'])('says of %s that there is no such part', async (path) => {
    const reply = await ask(path)
    expect([reply.status, cacheStatus(reply)]).toEqual([400, 'ipfleet; detail=offline'])
    expect(reply.json()).toMatchObject({ title: 'Wrong module or field type' })
  })

  test.each(['/nonsense', '/favicon.ico', '/example.com'])('says of %s that it is no address', async (path) => {
    const reply = await ask(path)
    expect(reply.status).toBe(404)
    expect(reply.json()).toMatchObject({ error: { title: 'Wrong ip' } })
  })

  test('sums lists up by what it knows', async () => {
    const reply = await client.ask(replica.url, '/tools/summarize-ips?cli=1', { method: 'POST', body: '8.8.8.8' })
    expect(reply.status).toBe(200)
    expect(reply.json()).toMatchObject({ total: 1, countries: { US: 1 } })
  })

  test.each([
    ['GET', '/me'],
    ['GET', '/AS15169'],
    ['GET', '/ranges/google.com'],
    ['GET', '/whois/net/8.8.8.0'],
    ['POST', '/tools/other'],
  ])('has no answer to %s %s, and says what to set', async (method, path) => {
    const reply = await client.ask(replica.url, path, { method, ...(method === 'POST' && { body: '8.8.8.8' }) })
    expect(reply.status).toBe(503)
    expect(reply.headers['content-type']).toMatch(/^application\/json/)
    expect(reply.json()).toMatchObject({ error: { message: expect.stringContaining('IPINFO_KEYS=') } })
    expect(cacheStatus(reply)).toContain('detail=no_offline_answer')
  })

  test('is well, without keys and without Redis', async () => {
    expect((await ask('/health')).json()).toMatchObject({
      status: 'ok',
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      keys: { total: 0 },
      redis: { state: 'off', cache: 'off' },
      upstream: { breaker: 'embedded' },
      offline: {
        type: 'country ipvAll + country-gaps + asn',
        built: expect.stringMatching(/^\d{4}-\d\d-\d\d$/),
        age_days: expect.any(Number),
      },
    })
  })
})

describe('when upstream gives no answer', () => {
  let fake: FakeIpinfo
  let replica: ServiceProcess | undefined
  beforeAll(async () => {
    fake = await startFakeIpinfo()
  })
  afterEach(async () => {
    fake.heal()
    await replica?.stop()
  })
  afterAll(() => fake.close())

  async function start(env: Readonly<Record<string, string>>): Promise<ServiceProcess> {
    const settings = { IPINFO_KEYS: 'test-key-1', IPINFO_BASE_URL: fake.url, DRAIN_MS: '0', ...env }
    replica = await startReplica(settings)
    return replica
  }

  test('FAILURE_MODE=open falls back to the embedded database, marked, and does not keep that answer', async () => {
    const { url } = await start({ FAILURE_MODE: 'open' })
    fake.behave({ kind: 'reset' })
    const fallback = await client.ask(url, '/8.8.8.8')
    expect(fallback.status).toBe(200)
    expect(fallback.json()).toMatchObject({ country: 'US' })
    expect(cacheStatus(fallback)).toBe('ipfleet; detail=offline')
    fake.heal()
    const real = await client.ask(url, '/8.8.8.8')
    expect(cacheStatus(real)).toBe('ipfleet; fwd=miss; fwd-status=200; stored')
  })

  test.each([
    ['GET', '/8.8.8.8', undefined],
    ['POST', '/batch', '["8.8.8.8"]'],
  ])('FAILURE_MODE=open answers no %s %s with only-if-cached', async (method, path, body) => {
    const { url } = await start({ FAILURE_MODE: 'open' })
    const headers = { 'cache-control': 'only-if-cached' }
    const reply = await client.ask(url, path, { method, headers, ...(body !== undefined && { body }) })
    expect(reply.status).toBe(504)
  })

  test.each([
    { what: 'is away', behaviour: { kind: 'reset' }, status: 502 },
    { what: 'limits every key', behaviour: { kind: '429-storm' }, status: 503 },
  ] as const)('FAILURE_MODE=open has a batch that no client waits for wait while upstream $what', async (given) => {
    const { url } = await start({ FAILURE_MODE: 'open' })
    fake.behave(given.behaviour)
    const post = { method: 'POST', body: '["8.8.8.8"]' }
    const headers = { 'ipfleet-live-reserve': '10' }
    const background = await client.ask(url, '/batch', { ...post, headers })
    expect([background.status, background.headers['ipfleet-items']]).toEqual([given.status, 'error=1'])
    expect(cacheStatus(await client.ask(url, '/batch', post))).toBe('ipfleet; detail=offline')
  })

  test.each(['/AS15169', '/8.8.8.8/city'])('FAILURE_MODE=open makes up no answer to %s', async (path) => {
    const { url } = await start({ FAILURE_MODE: 'open' })
    fake.behave({ kind: 'reset' })
    expect((await client.ask(url, path)).status).toBe(502)
  })

  test.each([
    { what: 'cannot be reached', status: 502, behaviour: { kind: 'reset' }, retryAfter: /^$/ },
    { what: 'does not answer in time', status: 504, behaviour: { kind: 'hang' }, retryAfter: /^$/ },
    { what: 'limits every key', status: 503, behaviour: { kind: '429-storm' }, retryAfter: /^(?:5\d|60)$/ },
    {
      what: 'is down for a time that it tells',
      status: 502,
      behaviour: { kind: 'status', status: 503, headers: { 'retry-after': '77' } },
      retryAfter: /^77$/,
    },
  ] as const)('FAILURE_MODE=closed answers $status when it $what', async ({ status, behaviour, retryAfter }) => {
    const timeoutMs = behaviour.kind === 'hang' ? '2000' : '20000'
    const { url } = await start({ FAILURE_MODE: 'closed', REQUEST_TIMEOUT_MS: timeoutMs })
    fake.behave(behaviour)
    const reply = await client.ask(url, '/8.8.8.8')
    expect(reply.status).toBe(status)
    expect(reply.json()).toMatchObject({ error: { title: expect.any(String) } })
    expect(reply.headers['retry-after'] ?? '').toMatch(retryAfter)
    expect(cacheStatus(reply)).toContain('fwd=miss; detail=')
  })
})
