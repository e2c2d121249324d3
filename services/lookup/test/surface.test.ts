import { createServer, type IncomingHttpHeaders } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { until } from '@ipfleet/testing/until.ts'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import {
  type AskOptions,
  cacheStatus,
  type HttpClient,
  httpClient,
  type LocalFleet,
  type Reply,
  startLocalFleet,
} from './local-fleet.ts'
import { observeRedis } from '@ipfleet/testing/redis-observer.ts'

/** What a client would get from IPinfo, it gets from the fleet. */
let redis: TestRedis
let fleet: LocalFleet
let client: HttpClient
beforeAll(async () => {
  redis = await startTestRedis()
  fleet = await startLocalFleet({
    redis,
    keys: ['business-key'],
    fake: { keys: { 'business-key': { plan: 'business', toolsPerDay: 100 } } },
    env: { TRUST_PROXY: '127.0.0.0/8', TOOLS: 'upstream' },
  })
  client = httpClient()
})
afterAll(async () => {
  client.close()
  await fleet.stop()
  await redis.stop()
})

/** What the fake says to a client that asks it directly with the fleet's key. */
function direct(path: string, options: AskOptions = {}): Promise<Reply> {
  return client.ask(fleet.fake.url, fleet.fake.onItsHost(path), {
    ...options,
    headers: { ...options.headers, authorization: 'Bearer business-key' },
  })
}

const essence = ({ status, headers, text }: Reply): object => ({ status, type: headers['content-type'], text })

/** An answer for which upstream was not asked. A replica that stood still for the life of its lease keeps none at first. */
function fromCache(path: string): Promise<Reply> {
  return until(async () => {
    fleet.fake.clearCalls()
    const reply = await fleet.ask(path)
    return fleet.fake.calls.length === 0 && reply
  })
}

/** Which address a client has whose request came with this X-Forwarded-For. */
async function ipBehind(forwarded: string): Promise<string> {
  return (await fleet.ask('/ip', { headers: { 'x-forwarded-for': forwarded } })).text
}

const fields = 'ip hostname city region country loc postal timezone org'.split(' ')
const modules = 'company carrier abuse privacy privacy_extended asn domains resproxy'.split(' ')

describe('GET, word for word what upstream says', () => {
  test.each([
    '/8.8.8.8',
    '/8.8.8.8/json',
    '/8.8.8.8/geo',
    ...fields.map((field) => `/8.8.8.8/${field}`),
    ...modules.map((module) => `/8.8.8.8/${module}`),
    '/2001:4860:4860::8888',
    '/2001:4860:4860::8888/city',
    '/8.8.8.8/nonsense',
    '/8.8.8.8/city/more',
    '/AS15169',
    '/AS15169/json',
    '/AS999999999',
    '/ranges/google.com',
    '/domains/8.8.8.8',
    '/domains/8.8.8.8?page=1&limit=5',
    '/whois/net/8.8.8.8',
    '/places/8.8.8.8',
    '/lite/8.8.8.8',
    '/lite/8.8.8.8/country',
    '/lookup/8.8.8.8',
    '/lookup/8.8.8.8/geo/city',
    '/plus/8.8.8.8',
    '/max/8.8.8.8',
    '/resproxy/8.8.8.8',
    '/not-a-path',
  ])('%s', async (path) => {
    const expected = await direct(path)
    expect(essence(await fleet.ask(path))).toEqual(essence(expected))
    // From the cache it is the same, and upstream is not asked.
    expect(essence(await fromCache(path))).toEqual(essence(expected))
  })

  test.each([
    ['/77.88.8.8', ['/json', '/geo', ...fields.map((field) => `/${field}`)]],
    ['/lite/77.88.8.8', ['/country', '/asn', '/continent_code']],
    ['/lookup/77.88.8.8', ['/geo/city', '/geo/country', '/as/asn']],
  ])('once %s is known, its parts cost no upstream call', async (record, parts) => {
    const expected = await Promise.all(parts.map((part) => direct(record + part)))
    await fleet.ask(record)
    fleet.fake.clearCalls()
    const replies = await Promise.all(parts.map((part) => fleet.ask(record + part)))
    expect(replies.map(essence)).toEqual(expected.map(essence))
    expect(fleet.fake.calls).toEqual([])
  })
})

describe('GET about the calling client', () => {
  const headers = { 'x-forwarded-for': '9.9.9.9' }
  test.each([
    ['/', '/9.9.9.9'],
    ['/json', '/9.9.9.9/json'],
    ['/geo', '/9.9.9.9/geo'],
    ['/city', '/9.9.9.9/city'],
    ['/ip', '/9.9.9.9/ip'],
    ['/privacy', '/9.9.9.9/privacy'],
    ['/lite/me', '/lite/9.9.9.9'],
    ['/lookup/me/geo/city', '/lookup/9.9.9.9/geo/city'],
  ])('%s is %s for the client that the trusted proxy names', async (path, meant) => {
    expect(essence(await fleet.ask(path, { headers }))).toEqual(essence(await direct(meant)))
  })

  test('reads the last hop that is not a trusted proxy', async () => {
    expect(await ipBehind('1.1.1.1, 9.9.9.9')).toBe('9.9.9.9\n')
    expect(await ipBehind('9.9.9.9, 127.0.0.2')).toBe('9.9.9.9\n')
  })

  test.each([
    ['9.9.9.9:51413', '9.9.9.9'],
    ['1.1.1.1, "9.9.9.9:51413", 127.0.0.2:80', '9.9.9.9'],
    ['[2001:4860:4860::8888]:443', '2001:4860:4860::8888'],
    ['"[2001:4860:4860::8888]"', '2001:4860:4860::8888'],
    ['fe80::1%eth0', 'fe80::1'],
  ])('X-Forwarded-For: %s is %s', async (forwarded, ip) => {
    expect(await ipBehind(forwarded)).toBe(`${ip}\n`)
  })

  test.each(['9.9.9.9, 0x7f.1', 'unknown', '', '9.9.9.9,', '_hidden', '[9.9.9.9]'])(
    'X-Forwarded-For: %j is no known client, and not the proxy',
    async (forwarded) => {
      const reply = await fleet.ask('/', { headers: { 'x-forwarded-for': forwarded } })
      expect([reply.status, reply.json()]).toMatchObject([400, { error: { title: 'Bad request' } }])
    },
  )

  test('believes no proxy without TRUST_PROXY', async () => {
    await using distrustful = await startLocalFleet({ redis })
    for (const name of ['x-forwarded-for', 'x_forwarded_for', 'x-real-ip', 'forwarded', 'x-client-ip']) {
      const value = name === 'forwarded' ? 'for=9.9.9.9' : '9.9.9.9'
      const reply = await distrustful.ask('/', { headers: { [name]: value } })
      expect([name, reply.json()]).toEqual([name, { ip: '127.0.0.1', bogon: true }])
    }
    expect(distrustful.fake.calls).toEqual([])
  })
})

describe('POST', () => {
  const list = JSON.stringify(['8.8.8.8', '1.1.1.1/country', 'AS15169', '10.0.0.1', 'nonsense'])
  test.each([
    ['/batch', 'application/json', list],
    ['/batch', 'text/plain', '8.8.8.8\n1.1.1.1/city\n'],
    ['/batch?filter=1', 'application/json', list],
  ])('%s of %s is what upstream says', async (path, type, body) => {
    const options = { method: 'POST', body, headers: { 'content-type': type } }
    const expected = await direct(path, options)
    const reply = await fleet.ask(path, options)
    expect([reply.status, reply.json()]).toEqual([expected.status, expected.json()])
  })

  test.each(['/tools/summarize-ips', '/tools/map', '/summarize?cli=1', '/map?cli=1'])(
    '%s is what upstream says, asked each time',
    async (path) => {
      const options = { method: 'POST', body: '8.8.8.8\n1.1.1.1', headers: { 'content-type': 'text/plain' } }
      const expected = await direct(path, options)
      fleet.fake.clearCalls()
      for (let round = 1; round <= 2; round += 1) {
        const reply = await fleet.ask(path, options)
        expect([reply.status, reply.json()]).toEqual([expected.status, expected.json()])
        expect(fleet.fake.calls).toHaveLength(round)
      }
    },
  )
})

describe('/me', () => {
  test('is the account without its token, asked each time', async () => {
    const expected = (await direct('/me')).json() as object
    fleet.fake.clearCalls()
    for (let round = 1; round <= 2; round += 1) {
      const reply = await fleet.ask('/me')
      expect(reply.json()).toEqual({ ...expected, token: '[redacted]' })
      expect(cacheStatus(reply)).toContain('fwd=bypass')
      expect(fleet.fake.callsTo('/me')).toHaveLength(round)
    }
  })

  test('shows the token when REDACT_KEYS is off', async () => {
    await using open = await startLocalFleet({ redis, keys: ['plain-key'], env: { REDACT_KEYS: 'false' } })
    expect((await open.ask('/me')).json()).toMatchObject({ token: 'plain-key' })
  })
})

describe('methods', () => {
  test.each(['/8.8.8.8', '/8.8.8.8/city', '/10.0.0.1', '/not-a-path', '/health', '/stats'])(
    'HEAD %s is GET without the body',
    async (path) => {
      const get = await fleet.ask(path)
      const head = await fleet.ask(path, { method: 'HEAD' })
      expect([head.status, head.body.length]).toEqual([get.status, 0])
      expect(head.headers['content-type']).toBe(get.headers['content-type'])
    },
  )

  test('OPTIONS is a preflight that allows every origin', async () => {
    const headers = { origin: 'https://example.com', 'access-control-request-method': 'GET' }
    const reply = await fleet.ask('/8.8.8.8', { method: 'OPTIONS', headers })
    expect(reply.status).toBe(204)
    expect(reply.headers['access-control-allow-origin']).toBe('*')
    expect(reply.headers['access-control-allow-methods']).toBe('GET, HEAD, POST, OPTIONS')
    expect((await fleet.ask('/8.8.8.8')).headers['access-control-allow-origin']).toBe('*')
  })

  test.each([
    ['PUT', '/8.8.8.8', 'GET, HEAD, OPTIONS'],
    ['PATCH', '/8.8.8.8', 'GET, HEAD, OPTIONS'],
    ['DELETE', '/8.8.8.8', 'GET, HEAD, OPTIONS'],
    ['POST', '/8.8.8.8', 'GET, HEAD, OPTIONS'],
    ['PROPFIND', '/8.8.8.8', 'GET, HEAD, OPTIONS'],
    ['PUT', '/batch', 'GET, HEAD, POST, OPTIONS'],
    ['POST', '/health', 'GET, HEAD, OPTIONS'],
  ])('%s %s is 405, and Allow has none that is', async (method, path, allow) => {
    fleet.fake.clearCalls()
    const reply = await fleet.ask(path, { method })
    expect(reply.status).toBe(405)
    expect(reply.headers.allow).toBe(allow)
    expect(reply.json()).toMatchObject({ status: 405, error: { title: 'Method not allowed' } })
    expect(fleet.fake.calls).toEqual([])
  })
})

describe('what is the client’s own', () => {
  test('neither its token nor its headers nor unknown parameters reach upstream, and no cache key holds them', async () => {
    const seen: { url: string; headers: IncomingHttpHeaders }[] = []
    const upstream = createServer((req, res) => {
      seen.push({ url: req.url ?? '', headers: req.headers })
      res.setHeader('content-type', 'application/json').end('{"ip":"8.8.8.8"}')
    }).listen(0, '127.0.0.1')
    await once(upstream, 'listening')
    const { port } = upstream.address() as AddressInfo
    const own = await startLocalFleet({
      redis,
      env: { IPINFO_BASE_URL: `http://127.0.0.1:${port}`, TOOLS: 'upstream' },
    })
    await using observer = await observeRedis(redis.url)
    try {
      const headers = {
        authorization: 'Bearer client-secret',
        cookie: 'session=client-secret',
        'user-agent': 'client-agent',
        'x-anything': 'client-secret',
        'x-forwarded-host': 'client-host',
        'x-original-url': '/client-url',
        origin: 'https://client-origin',
        referer: 'https://client-referer',
      }
      await own.ask('/8.8.8.8?token=client-secret&unknown=client-parameter', { headers })
      await own.ask('/AS15169?token=client-secret', { headers })
      await own.ask('/me?token=client-secret', { headers })
      await own.ask('/tools/map?token=client-secret', { method: 'POST', headers, body: '8.8.8.8' })
      expect(seen.map(({ url }) => url)).toEqual(['/8.8.8.8', '/AS15169', '/me', '/tools/map'])
      expect(JSON.stringify(seen)).not.toContain('client-')
      expect(seen[0]?.headers.authorization).toMatch(/^Bearer test-key-\d$/)
      expect(await observer.dump()).not.toContain('client-')
      // All of these are one query.
      expect(cacheStatus(await own.ask('/8.8.8.8'))).toContain('detail=l1')
      expect(cacheStatus(await own.ask('/8.8.8.8/json?x=1&token=other', { headers }))).toContain('detail=l1')
    } finally {
      await own.stop()
      upstream.close()
      upstream.closeAllConnections()
    }
  })

  test('the first of a repeated parameter counts', async () => {
    expect((await fleet.ask('/domains/9.9.9.9?limit=3&limit=9')).text).toBe(
      (await direct('/domains/9.9.9.9?limit=3')).text,
    )
  })
})
