import { until } from '@ipfleet/testing/until.ts'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { cacheStatus, type LocalFleet, type Reply, startLocalFleet } from './local-fleet.ts'

/** What reaches upstream of a request, and what is kept of its answer, over two replicas (issue 12). */
const busy = { toolsPerDay: 1000, downloadsPerDay: 1000 }
let fleet: LocalFleet
beforeAll(async () => {
  fleet = await startLocalFleet({
    replicas: 2,
    fake: {
      keys: { 'test-key-1': busy, 'test-key-2': busy, 'test-key-3': busy },
    },
    env: { NEGATIVE_TTL_SECONDS: '3', TOOLS: 'upstream' },
  })
})
afterAll(() => fleet.stop())
afterEach(() => {
  fleet.fake.heal()
  fleet.fake.clearCalls()
})

const list = '["8.8.8.8"]'
const post = (path: string, body = list, headers = {}): Promise<Reply> =>
  fleet.ask(path, { method: 'POST', body, headers })
const asked = (): string[] => fleet.fake.calls.map(({ method, host, path }) => `${method} ${host}${path}`)

describe('queries arrive as they were meant', () => {
  test.each([
    ['/map?cli=1', '/map?cli=1'],
    ['/map?token=secret&cli=1&x=1', '/map?cli=1'],
    ['/summarize?cli=1', '/summarize?cli=1'],
    ['/summarize&cli=1', '/summarize?cli=1'],
    ['/tools/map?cli=1', '/tools/map?cli=1'],
    ['/tools/summarize-ips?cli=1', '/tools/summarize-ips?cli=1'],
    ['/tools/map', '/tools/map'],
  ])('POST %s', async (path, target) => {
    expect((await post(path)).status).toBe(200)
    expect(asked()).toEqual([`POST ipinfo.io${target}`])
  })

  test.each(['/map?cli=1', '/tools/map', '/summarize?cli=1'])('POST %s takes the ips of an object', async (path) => {
    expect((await post(path, '{"ips": ["8.8.8.8", "1.1.1.1"]}')).status).toBe(200)
  })

  test.each([
    ['/whois/net/8.8.8.8?page=2&whoissource=arin&x=1', 'ipinfo.io/whois/net/8.8.8.8?page=2&whoissource=arin'],
    ['/domains/8.8.4.4?x=1&limit=5&token=secret&page=1', 'ipinfo.io/domains/8.8.4.4?limit=5&page=1'],
    ['/places/8.8.8.8', 'api.ipinfo.io/places/8.8.8.8'],
    ['/ranges/google.com?page=1&x=1', 'ipinfo.io/ranges/google.com'],
    ['/AS15169?x=1', 'ipinfo.io/AS15169'],
    ['/9.9.9.1/company?x=1&callback=show', 'ipinfo.io/9.9.9.1/company'],
    ['/countries/US?x=1', 'ipinfo.io/countries/US'],
  ])('GET %s', async (path, target) => {
    await fleet.ask(path)
    expect(asked()).toEqual([`GET ${target}`])
  })

  test.each([
    ['/9.9.9.3/privacy', 'ipinfo.io'],
    ['/9.9.9.3/city', 'ipinfo.io'],
    ['/lite/9.9.9.3', 'api.ipinfo.io'],
  ])('%s/json is no other name of what memory has', async (path, host) => {
    // A replica that stood still for the life of its lease stores nothing.
    await until(async () => cacheStatus(await fleet.ask(path)).includes('detail=l1'))
    fleet.fake.clearCalls()
    expect((await fleet.ask(`${path}/json`)).status).toBe(400)
    // With one key after another: no plan may have it.
    expect([...new Set(asked())]).toEqual([`GET ${host}${path}/json`])
  })

  test('/resproxy/{ip} and /{ip}/resproxy are one entry', async () => {
    const one = await fleet.ask('/9.9.9.2/resproxy')
    const other = await fleet.ask('/resproxy/9.9.9.2', { replica: 1 })
    expect([other.status, other.text]).toEqual([200, one.text])
    expect(fleet.fake.calls).toHaveLength(1)
  })

  test.each(['/::8.8.8.8', '/::808:808', '/0:0:0:0:0:0:8.8.8.8', '/::7f00:1/city'])('%s is reserved', async (path) => {
    const reply = await fleet.ask(path)
    expect([reply.status, cacheStatus(reply), asked()]).toEqual([200, 'ipfleet; detail=local', []])
    expect(reply.text).toBe(path.endsWith('city') ? '\n' : '{\n  "ip": "::808:808",\n  "bogon": true\n}')
  })

  test.each([
    ['api.ipinfo.io', '/batch', { geo: { city: 'Mountain View' } }],
    ['V6.API.ipinfo.io:443', '/batch?filter=1', { geo: { city: 'Mountain View' } }],
    ['v4.api.ipinfo.io', '/batch', { geo: { city: 'Mountain View' } }],
    ['api.ipinfo.io', '/batch/legacy', { city: 'Mountain View' }],
    ['api.ipinfo.io', '/batch/lite', { as_name: 'Google LLC' }],
    ['www.ipinfo.io', '/batch', { city: 'Mountain View' }],
    ['ipinfo.io', '/batch', { city: 'Mountain View' }],
    ['api.ipinfo.io.example.org', '/batch', { city: 'Mountain View' }],
  ])('with Host %s the form of %s is that of the host', async (host, path, record) => {
    const reply = await post(path, '["8.8.8.8", "AS15169", "lite/8.8.4.4", "ranges/a.com"]', { host })
    expect(reply.json()).toMatchObject({
      '8.8.8.8': record,
      AS15169: { asn: 'AS15169' },
      'lite/8.8.4.4': { as_name: expect.any(String) },
      'ranges/a.com': { domain: 'a.com' },
    })
  })
})

test.each([
  '/tools/../me',
  '/tools/%2e%2e/me',
  '/tools/..;/me',
  '/tools/..\\me',
  '/tools/..%5cme',
  '/tools/..%2fme',
  '/map/../me',
  '/summarize/./../data/x.mmdb',
  '/tools/%252e%252e/me',
])('%s is refused, by POST and by GET', async (path) => {
  expect([(await post(path)).status, (await fleet.ask(path)).status]).toEqual([400, 400])
  expect(asked()).toEqual([])
})

describe('what is for one client is not kept', () => {
  test.each([
    '/me',
    '//me',
    '/Me',
    '/ME',
    '/me/json',
    '/me;a',
    '/me%3Ba',
    '/%6de',
    '/account',
    '/users/self',
    '/me/x/y',
  ])('%s, whatever upstream says', async (path) => {
    fleet.fake.behave({ kind: 'status', status: 200, body: { account: 'of a key' } })
    const replies = [await fleet.ask(path), await fleet.ask(path), await fleet.ask(path, { replica: 1 })]
    expect(replies.map(({ status }) => status)).toEqual([200, 200, 200])
    expect(replies.map(cacheStatus)).not.toContainEqual(expect.stringMatching(/hit|stored|collapsed/))
    expect(fleet.fake.calls).toHaveLength(3)
  })

  test.each([
    ['text/html', 'sandbox'],
    ['image/svg+xml', 'sandbox'],
    ['text/plain; charset=utf-8', undefined],
    ['application/json', undefined],
  ])('a page of upstream of the type %s may run no scripts in the place of the console', async (type, policy) => {
    const headers = { 'content-type': type }
    fleet.fake.behave({ kind: 'status', status: 200, body: '{}', headers })
    const reply = await fleet.ask('/pricing')
    expect([reply.status, reply.headers['content-type']]).toEqual([200, type])
    expect(reply.headers['content-security-policy']).toBe(policy)
  })

  test.each(['/account', '/me;a'])('%s is asked for each of those who wait at the same time', async (path) => {
    fleet.fake.behave({ kind: 'status', status: 200, body: { account: 'of a key' } })
    const gate = fleet.fake.hold()
    const replies = fleet.askAll(4, () => path)
    await fleet.fake.waitForCalls(1)
    gate.release()
    expect((await replies).map(({ status }) => status)).toEqual([200, 200, 200, 200])
    expect(fleet.fake.calls).toHaveLength(4)
  })

  const cacheControls = [
    'no-store',
    'private',
    'Private, max-age=60',
    'no-cache',
    'max-age=0',
    's-maxage=0, max-age=60',
  ]
  test.each(cacheControls)('Cache-Control: %s of upstream is heeded', async (directives) => {
    const ip = `9.9.7.${1 + cacheControls.indexOf(directives)}`
    fleet.fake.behave({ kind: 'fields', headers: { 'cache-control': directives } })
    for (const path of [`/${ip}`, `/${ip}/city`, `/${ip}`]) {
      const reply = await fleet.ask(path)
      expect([reply.status, cacheStatus(reply)]).toEqual([200, 'ipfleet; fwd=miss; fwd-status=200'])
    }
    expect((await post('/batch', JSON.stringify([ip]))).json()).toMatchObject({ [ip]: { ip } })
    fleet.fake.heal()
    expect(cacheStatus(await fleet.ask(`/${ip}`, { replica: 1 }))).toContain('fwd=miss')
  })

  test('max-age of upstream makes the life of an answer shorter, and never longer', async () => {
    fleet.fake.behave({ kind: 'fields', headers: { 'cache-control': 'max-age=60' } })
    await fleet.ask('/9.9.6.1')
    const ttl = /ttl=(\d+)/.exec(cacheStatus(await fleet.ask('/9.9.6.1')))?.[1]
    expect(Number(ttl)).toBeLessThanOrEqual(60)
  })
})

describe('only-if-cached', () => {
  const headers = { 'cache-control': 'only-if-cached' }

  test.each(['/9.9.5.1', '/9.9.5.1/city', '/9.9.5.1/privacy', '/lite/9.9.5.1', '/me', '/data/a.mmdb', '/account'])(
    '%s is 504 on a miss, and upstream is not asked',
    async (path) => {
      const reply = await fleet.ask(path, { headers })
      expect([reply.status, reply.json()]).toMatchObject([504, { status: 504, error: { title: 'Not in the cache' } }])
      expect(asked()).toEqual([])
    },
  )

  test('is a hit on what any replica has, parts of records too', async () => {
    await fleet.ask('/9.9.5.2')
    for (const [path, replica] of [
      ['/9.9.5.2', 0],
      ['/9.9.5.2/city', 0],
      ['/9.9.5.2', 1],
      ['/9.9.5.2/geo', 1],
    ] as const) {
      const reply = await fleet.ask(path, { headers, replica })
      expect([path, reply.status, cacheStatus(reply)]).toEqual([path, 200, expect.stringContaining('hit')])
    }
    const batch = await post('/batch', '["9.9.5.2", "9.9.5.2/city", "9.9.5.9", "10.0.0.1"]', headers)
    expect(batch.json()).toMatchObject({
      '9.9.5.2': { ip: '9.9.5.2' },
      '9.9.5.2/city': expect.any(String),
      '9.9.5.9': { status: 504 },
      '10.0.0.1': { bogon: true },
    })
    expect(batch.headers['ipfleet-items']).toMatch(/, local=1, refused=1$/)
    for (const path of ['/batch', '/tools/map']) expect((await post(path, '["9.9.5.9"]', headers)).status).toBe(504)
    expect(fleet.fake.calls).toHaveLength(1)
    const demanding = { 'cache-control': 'only-if-cached, min-fresh=90000' }
    expect((await fleet.ask('/9.9.5.2', { headers: demanding })).status).toBe(504)
    expect((await fleet.ask('/10.0.0.1', { headers })).status).toBe(200)
  })
})

describe('that there is nothing', () => {
  test.each([
    [404, '/9.9.4.1', '/9.9.4.1/city'],
    [400, '/lookup/9.9.4.2', '/lookup/9.9.4.2/geo'],
  ])('(a passing %i) does not displace the record of %s, which is served as stale', async (status, path, part) => {
    fleet.fake.behave({ kind: 'fields', headers: { 'cache-control': 'max-age=1' } })
    const { text } = await fleet.ask(path)
    fleet.fake.behave({ kind: 'status', status, body: { error: 'Please provide a valid IP address' } })
    const isStale = async (replica: number): Promise<boolean> => {
      const reply = await fleet.ask(path, { replica })
      expect([reply.status, reply.text]).toEqual([200, text])
      return cacheStatus(reply).includes('detail=stale')
    }
    await until(() => isStale(0))
    await until(() => isStale(1))
    const calls = fleet.fake.calls.length
    expect((await fleet.ask(part)).status).toBe(200)
    expect((await post('/batch', JSON.stringify([path.slice(1)]))).json()).toMatchObject({
      [path.slice(1)]: JSON.parse(text),
    })
    expect(fleet.fake.calls).toHaveLength(calls)
    fleet.fake.heal()
    // After NEGATIVE_TTL_SECONDS it is asked again, and good again.
    await until(async () => cacheStatus(await fleet.ask(path)).includes('fwd=miss'))
    expect(cacheStatus(await fleet.ask(path, { replica: 1 }))).toContain('detail=l2')
  })
})

describe('a download', () => {
  test('is the redirect of upstream, asked each time, however often', async () => {
    for (let turn = 0; turn < 12; turn += 1) {
      const reply = await fleet.ask('/data/free/country.mmdb?token=client-token', { replica: turn % 2 })
      expect([reply.status, reply.headers['location']]).toEqual([302, expect.stringMatching(/^https:.*Signature=/)])
      expect(cacheStatus(reply)).toBe('ipfleet; fwd=bypass; fwd-status=302')
    }
    const head = await fleet.ask('/data/free/country.mmdb', { method: 'HEAD' })
    expect([head.status, head.headers['location'] === undefined]).toEqual([302, false])
    expect(new Set(asked())).toEqual(new Set(['GET ipinfo.io/data/free/country.mmdb']))
    expect(fleet.fake.calls).toHaveLength(13)
    expect((await fleet.ask('/9.9.3.1')).status).toBe(200)
  })

  test.each([
    ['https://cdn.example/a?token=test-key-1&sig=b', /^https:\/\/cdn\.example\/a\?sig=b$/],
    ['https://cdn.example/a?sig=b&TOKEN=c', /^https:\/\/cdn\.example\/a\?sig=b$/],
    ['https://cdn.example/a?access_token=test-key-2&sig=b', /^(?!.*test-key)https:.*sig=b$/],
    ['https://test-key-3@cdn.example/test-key-1/a#test-key-2', /^(?!.*test-key)https:.*cdn\.example/],
  ])('leads to %s without a token', async (location, expected) => {
    fleet.fake.behave({ kind: 'redirect', location })
    const reply = await fleet.ask('/data/a.mmdb')
    expect([reply.status, reply.headers['location']]).toEqual([302, expect.stringMatching(expected)])
  })

  test('has checksums, and is refused as upstream refuses it', async () => {
    expect((await fleet.ask('/data/a.mmdb/checksums')).json()).toMatchObject({ checksums: { md5: expect.any(String) } })
    fleet.fake.behave({ kind: '429-storm', retryAfterSeconds: 3600, paths: ['/data/*'] })
    const reply = await fleet.ask('/data/a.mmdb')
    expect([reply.status, reply.headers['retry-after']]).toEqual([429, '3600'])
    expect((await fleet.ask('/9.9.3.2')).status).toBe(200)
  })
})

test('a batch on a connection that upstream has just closed is asked once more, on a new one', async () => {
  await fleet.ask('/9.9.2.1')
  fleet.fake.behave({ kind: 'reset', onReused: true, paths: ['/batch'] })
  expect((await post('/batch', '["9.9.2.2"]')).json()).toMatchObject({ '9.9.2.2': { ip: '9.9.2.2' } })
  expect(fleet.fake.callsTo('/batch').map(({ isReused }) => isReused)).toEqual([true, false])
})
