import { Agent, request } from 'node:http'
import { afterEach, describe, expect, test } from '@jest/globals'
import { fakeControl } from './fake-ipinfo-control.ts'
import type { FakeKey } from './fake-ipinfo/accounts.ts'
import type { FakeIpinfoOptions } from './fake-ipinfo/options.ts'
import { type FakeIpinfo, startFakeIpinfo } from './fake-ipinfo.ts'
import { manualClock } from './manual-clock.ts'

/** Plans, refusals, tools, downloads and hosts: what depends on the key or on where it is asked. */
let fake: FakeIpinfo
const clock = manualClock()

afterEach(() => fake.close())

async function start(key: FakeKey = {}, options: FakeIpinfoOptions = {}): Promise<void> {
  fake = await startFakeIpinfo({ keys: { k: key }, clock, ...options })
}

function ask(path: string, init: RequestInit = {}, token = 'k'): Promise<Response> {
  const headers = { authorization: `Bearer ${token}` }
  return fetch(fake.url + fake.onItsHost(path), { redirect: 'manual', headers, ...init })
}

const statusOf = async (path: string): Promise<number> => (await ask(path)).status

const post = (path: string, body: unknown): Promise<Response> =>
  ask(path, { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body) })

describe('a plan', () => {
  test.each([
    ['lite', ['/lite/8.8.8.8'], ['/8.8.8.8', '/lookup/8.8.8.8', '/8.8.8.8/privacy']],
    ['free', ['/8.8.8.8', '/lite/8.8.8.8'], ['/AS15169', '/8.8.8.8/asn', '/lookup/8.8.8.8', '/whois/net/8.8.8.8']],
    ['core', ['/8.8.8.8', '/lookup/8.8.8.8', '/AS15169'], ['/8.8.8.8/privacy', '/plus/8.8.8.8', '/ranges/a.com']],
    ['plus', ['/lookup/8.8.8.8', '/plus/8.8.8.8', '/8.8.8.8/privacy'], ['/max/8.8.8.8', '/8.8.8.8/abuse']],
    ['max', ['/max/8.8.8.8', '/8.8.8.8/abuse', '/resproxy/8.8.8.8', '/domains/8.8.8.8'], []],
  ] as const)('%s may ask its products alone', async (plan, may, mayNot) => {
    await start({ plan })
    for (const path of may) expect([path, await statusOf(path)]).toEqual([path, 200])
    for (const path of mayNot) expect([path, await statusOf(path)]).toEqual([path, 401])
  })

  test('the richer one has more on the same path', async () => {
    fake = await startFakeIpinfo({ keys: { k: { plan: 'core' }, rich: { plan: 'plus' } } })
    const core = await (await ask('/lookup/8.8.8.8')).json()
    const plus = await (await ask('/lookup/8.8.8.8', {}, 'rich')).json()
    expect(core).not.toHaveProperty('anonymous')
    expect(plus).toMatchObject({ anonymous: { is_vpn: false }, geo: { city: 'Mountain View' } })
  })

  test.each([
    ['unauthorized', 401, {}],
    ['permission', 403, { error: { message: expect.stringContaining('do not have permission') } }],
    ['no-access', 403, { message: expect.stringContaining('does not have access') }],
    ['unknown-token', 403, { error: { title: 'Unknown token' } }],
    ['wrong-module', 400, { title: 'Wrong module or field type' }],
    ['payment', 402, { error: { title: 'Payment required' } }],
  ] as const)('refuses by %s with %i', async (refusesWith, status, body) => {
    await start({ plan: 'free', modules: ['asn'], refusesWith })
    const refused = await ask('/8.8.8.8/privacy')
    expect([refused.status, await refused.json()]).toMatchObject([status, body])
    expect(await statusOf('/8.8.8.8/asn')).toBe(200)
    expect(await (await post('/batch', ['8.8.8.8/privacy', '8.8.8.8/city'])).json()).toMatchObject({
      '8.8.8.8/privacy': body,
      '8.8.8.8/city': 'Mountain View',
    })
  })

  test('can be changed while it runs, also from another process', async () => {
    await start({ plan: 'free' }, { hasControl: true })
    const control = fakeControl(fake.url)
    await control.setKey('k', { plan: 'max' })
    expect(await statusOf('/8.8.8.8/privacy')).toBe(200)
    await control.setKey('k', undefined)
    expect(await statusOf('/8.8.8.8')).toBe(403)
  })
})

describe('quotas', () => {
  test('overage is stated as remaining beyond the limit, and answered', async () => {
    await start({ monthlyQuota: 1, overage: true })
    expect([await statusOf('/8.8.8.8'), await statusOf('/8.8.8.8')]).toEqual([200, 200])
    expect(await (await ask('/me')).json()).toMatchObject({ requests: { limit: 1, remaining: 2_147_483_645 } })
  })

  test('a feature has a limit of its own, which touches nothing else', async () => {
    await start({ features: { privacy: 1 } })
    expect([await statusOf('/8.8.8.8/privacy'), await statusOf('/8.8.8.8/privacy')]).toEqual([200, 429])
    expect(await statusOf('/8.8.8.8')).toBe(200)
    expect(await (await ask('/me')).json()).toMatchObject({ features: { privacy: { monthly: 1 } } })
  })

  test('a used-up plan may answer 402', async () => {
    await start({ monthlyQuota: 0, exhaustedWith: 402 })
    expect(await statusOf('/8.8.8.8')).toBe(402)
  })
})

describe('tools and downloads', () => {
  test('each tool has five uses a day on any plan, with a 429 that tells until when', async () => {
    await start({ plan: 'max' })
    for (let use = 1; use <= 5; use += 1) expect((await post('/tools/map', ['8.8.8.8'])).status).toBe(200)
    const limited = await post('/map?cli=1', ['8.8.8.8'])
    expect([limited.status, Number(limited.headers.get('retry-after'))]).toEqual([429, expect.any(Number)])
    expect([(await post('/tools/summarize-ips', ['8.8.8.8'])).status, await statusOf('/8.8.8.8')]).toEqual([200, 200])
    clock.advance(86_400_000)
    expect((await post('/tools/map', ['8.8.8.8'])).status).toBe(200)
  })

  test('without cli=1 the short paths lead to a page', async () => {
    await start()
    const report = await post('/map', ['8.8.8.8'])
    expect([report.status, report.headers.get('location')]).toEqual([302, expect.stringContaining('/tools/map/')])
  })

  test('the list may be the ips of an object', async () => {
    await start()
    expect((await post('/tools/map', { ips: ['8.8.8.8'] })).status).toBe(200)
    expect((await post('/tools/map', { ips: [] })).status).toBe(422)
  })

  test('a download is somewhere else, three times a day, and its checksums are free', async () => {
    await start({ plan: 'core' })
    const first = await ask('/data/free/country.mmdb')
    expect([first.status, first.headers.get('location')]).toEqual([
      302,
      expect.stringMatching(/^https:\/\/storage\.googleapis\.com\/.*country\.mmdb\?.*Signature=/),
    ])
    expect(first.headers.get('location')).not.toContain('token')
    await ask('/data/free/asn.mmdb')
    await ask('/data/free/asn.mmdb')
    expect(await statusOf('/data/free/asn.mmdb')).toBe(429)
    expect(await (await ask('/data/free/asn.mmdb/checksums')).json()).toMatchObject({
      checksums: { sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
    })
  })
})

async function statusAt(base: string, path: string): Promise<number> {
  return (await fetch(base + path, { headers: { authorization: 'Bearer k' } })).status
}

async function batch(base: string, path = '/batch'): Promise<Record<string, unknown>> {
  const body = JSON.stringify(['8.8.8.8', 'AS15169', 'lite/8.8.8.8'])
  const response = await fetch(`${base}${path}?token=k`, { method: 'POST', body })
  const answer: Record<string, unknown> = JSON.parse(await response.text())
  return answer
}

/** Over one connection, if `agent` has one idle. */
function statusOver(agent: Agent, path: string, headers: Record<string, string> = {}): Promise<number | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>()
  const options = { agent, headers: { authorization: 'Bearer k', ...headers } }
  const req = request(fake.url + path, options, (res) => res.resume().on('end', () => resolve(res.statusCode)))
  req.on('error', reject).end()
  return promise
}

describe('hosts', () => {
  test('each has its own paths', async () => {
    await start()
    for (const path of ['/lite/8.8.8.8', '/lookup/8.8.8.8', '/places/8.8.8.8']) {
      expect([path, await statusAt(fake.apiUrl, path), await statusAt(fake.url, path)]).toEqual([path, 200, 404])
    }
    for (const path of ['/8.8.8.8', '/AS15169', '/ranges/a.com', '/data/x.mmdb/checksums', '/me']) {
      expect([path, await statusAt(fake.url, path), await statusAt(fake.apiUrl, path)]).toEqual([path, 200, 404])
    }
  })

  test('a batch has the form of its host', async () => {
    await start()
    const others = { AS15169: { asn: 'AS15169' }, 'lite/8.8.8.8': { as_name: 'Google LLC' } }
    const [legacy, core] = [{ city: 'Mountain View' }, { geo: { city: 'Mountain View' } }]
    expect(await batch(fake.url)).toMatchObject({ '8.8.8.8': legacy, ...others })
    expect(await batch(fake.apiUrl)).toMatchObject({ '8.8.8.8': core, ...others })
    expect(await batch(fake.apiUrl, '/batch/legacy')).toMatchObject({ '8.8.8.8': legacy })
    expect(await batch(fake.apiUrl, '/batch/lite')).toMatchObject({ '8.8.8.8': { as_name: 'Google LLC' } })
  })

  test.each([
    ['api.ipinfo.io', 200],
    ['V4.api.ipinfo.io:443', 200],
    ['v6.api.ipinfo.io', 200],
    ['www.ipinfo.io', 404],
  ])('the Host %s decides too', async (host, status) => {
    await start()
    expect(await statusOver(new Agent(), '/lookup/8.8.8.8', { host })).toBe(status)
    expect(fake.calls[0]?.host).toBe(status === 200 ? 'api.ipinfo.io' : 'ipinfo.io')
  })
})

describe('what is in the way', () => {
  test('about a blocked address every key is refused', async () => {
    await start({}, { blocked: ['9.9.9.9'], hasControl: true })
    const refused = await ask('/9.9.9.9/city')
    expect([refused.status, await refused.json()]).toMatchObject([403, { error: { title: 'Unknown token' } }])
    expect(await (await post('/batch', ['9.9.9.9', '8.8.8.8/ip'])).json()).toMatchObject({
      '9.9.9.9': { error: { title: 'Unknown token' } },
      '8.8.8.8/ip': '8.8.8.8',
    })
    await fakeControl(fake.url).block([])
    expect(await statusOf('/9.9.9.9')).toBe(200)
  })

  test('a wall is a page, an error may stand inside a 200, and fields can be added', async () => {
    await start()
    fake.behave({ kind: 'wall' })
    const page = await ask('/8.8.8.8')
    expect([page.status, page.headers.get('content-type')]).toEqual([403, 'text/html; charset=utf-8'])
    fake.behave({ kind: 'error-inside' })
    expect(await (await ask('/8.8.8.8')).json()).toMatchObject({ status: 429, error: { title: 'Rate limit exceeded' } })
    fake.behave({ kind: 'fields', headers: { 'cache-control': 'private' } })
    expect((await ask('/8.8.8.8')).headers.get('cache-control')).toBe('private')
  })

  test('a fault may keep to connections that were used before', async () => {
    await start()
    fake.behave({ kind: 'status', status: 408, onReused: true, times: 1 })
    const agent = new Agent({ keepAlive: true })
    const statuses = []
    for (let turn = 1; turn <= 3; turn += 1) statuses.push(await statusOver(agent, '/8.8.8.8'))
    agent.destroy()
    expect(statuses).toEqual([200, 408, 200])
  })
})
