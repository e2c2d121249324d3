import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { FakeIpinfoOptions } from './fake-ipinfo/options.ts'
import { type FakeIpinfo, startFakeIpinfo } from './fake-ipinfo.ts'
import { manualClock } from './manual-clock.ts'

let fake: FakeIpinfo
const clock = manualClock()

async function restart(options: FakeIpinfoOptions): Promise<void> {
  await fake.close()
  fake = await startFakeIpinfo(options)
}

beforeEach(async () => {
  fake = await startFakeIpinfo({ keys: { k1: {}, k2: {} }, clock })
})

afterEach(() => fake.close())

interface Seen {
  readonly status: number
  readonly type: string | null
  readonly text: string
}

async function ask(path: string, init: RequestInit = {}, token = 'k1'): Promise<Seen> {
  const headers = new Headers(init.headers)
  if (token !== '' && !headers.has('authorization')) headers.set('authorization', `Bearer ${token}`)
  const response = await fetch(fake.url + fake.onItsHost(path), { redirect: 'manual', ...init, headers })
  return { status: response.status, type: response.headers.get('content-type'), text: await response.text() }
}

async function read(path: string, init: RequestInit = {}, token = 'k1'): Promise<Record<string, unknown>> {
  const value: Record<string, unknown> = JSON.parse((await ask(path, init, token)).text)
  return value
}

function post(body: unknown): RequestInit {
  return { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body) }
}

const json = 'application/json; charset=utf-8'
const google = `{
  "ip": "8.8.8.8",
  "hostname": "dns.google",
  "anycast": true,
  "city": "Mountain View",
  "region": "California",
  "country": "US",
  "loc": "37.4056,-122.0775",
  "org": "AS15169 Google LLC",
  "postal": "94043",
  "timezone": "America/Los_Angeles"
}`
const rateLimited = {
  status: 429,
  error: { title: 'Rate limit exceeded', message: expect.stringContaining('daily limit') },
}
const wrongIp = { status: 404, error: { title: 'Wrong ip', message: 'Please provide a valid IP address' } }

describe('the legacy surface', () => {
  test.each(['/8.8.8.8', '/8.8.8.8/json', '//8.8.8.8'])('%s is the whole record, to the byte', async (path) => {
    expect(await ask(path)).toEqual({ status: 200, type: json, text: google })
  })

  test('1.1.1.1 is the one that everybody knows', async () => {
    expect(await read('/1.1.1.1')).toMatchObject({
      hostname: 'one.one.one.one',
      org: 'AS13335 Cloudflare, Inc.',
      country: 'AU',
    })
  })

  test('/geo is the place alone', async () => {
    const geo = { ip: '8.8.8.8', city: 'Mountain View', region: 'California', country: 'US' }
    const rest = { loc: '37.4056,-122.0775', postal: '94043', timezone: 'America/Los_Angeles' }
    expect(await read('/8.8.8.8/geo')).toEqual({ ...geo, ...rest })
  })

  test('any address has a record, always the same, and not everybody the same', async () => {
    const ips = Array.from({ length: 60 }, (_, at) => `${at + 60}.${at * 3}.7.${at}`)
    const records = await Promise.all(ips.map((ip) => read(`/${ip}`)))
    const cities = new Set(records.map((record) => record['city']))
    const withHostname = records.filter((record) => Object.hasOwn(record, 'hostname')).length
    const withPostal = records.filter((record) => Object.hasOwn(record, 'postal')).length
    expect(cities.size).toBeGreaterThan(5)
    expect([withHostname > 0 && withHostname < 60, withPostal > 0 && withPostal < 60]).toEqual([true, true])
    expect(await read(`/${ips[7]}`)).toEqual(records[7])
  })

  test('every spelling of an IPv6 address is one record', async () => {
    const record = await read('/2a00:1450:4001:81b::200e')
    expect(record).toMatchObject({ ip: '2a00:1450:4001:81b::200e' })
    expect(await read('/2A00:1450:4001:081B:0000:0000:0000:200E')).toEqual(record)
    expect(await read('/2a00%3A1450%3A4001%3A81b%3A%3A200e')).toEqual(record)
  })

  test.each([
    ['ip', '8.8.8.8'],
    ['hostname', 'dns.google'],
    ['city', 'Mountain View'],
    ['region', 'California'],
    ['country', 'US'],
    ['loc', '37.4056,-122.0775'],
    ['postal', '94043'],
    ['timezone', 'America/Los_Angeles'],
    ['org', 'AS15169 Google LLC'],
  ])('the field %s is text with a newline', async (name, value) => {
    expect(await ask(`/8.8.8.8/${name}`)).toEqual({
      status: 200,
      type: 'text/plain; charset=utf-8',
      text: `${value}\n`,
    })
  })

  test('a field that is not known is an empty line', async () => {
    const without = Array.from({ length: 50 }, (_, at) => `/9.9.${at}.9`)
    const records = await Promise.all(without.map((path) => read(path)))
    const path = without[records.findIndex((record) => !Object.hasOwn(record, 'hostname'))]
    expect(await ask(`${path}/hostname`)).toMatchObject({ status: 200, text: '\n' })
  })

  test.each(['company', 'carrier', 'abuse', 'privacy', 'privacy_extended', 'asn', 'domains', 'resproxy'])(
    'the module %s is JSON',
    async (name) => {
      const { status, type, text } = await ask(`/8.8.8.8/${name}`)
      expect([status, type, typeof JSON.parse(text)]).toEqual([200, json, 'object'])
    },
  )

  test('the plan decides which modules are in the record', async () => {
    await restart({ keys: { k1: { plan: 'business' }, k2: { plan: 'basic' } } })
    const asn = { asn: 'AS15169', name: 'Google LLC', domain: 'google.com', route: '8.8.8.0/24', type: 'hosting' }
    expect(await read('/8.8.8.8')).toMatchObject({
      asn,
      privacy: { hosting: true },
      company: {},
      abuse: {},
      domains: {},
    })
    const basic = await read('/8.8.8.8', {}, 'k2')
    expect(basic).toMatchObject({ asn })
    expect(basic).not.toHaveProperty('privacy')
  })

  test('a bogon says so', async () => {
    expect(await ask('/10.0.0.1')).toEqual({
      status: 200,
      type: json,
      text: '{\n  "ip": "10.0.0.1",\n  "bogon": true\n}',
    })
    expect(await ask('/10.0.0.1/city')).toMatchObject({ status: 200, text: '\n' })
    expect(await ask('/10.0.0.1/ip')).toMatchObject({ text: '10.0.0.1\n' })
  })

  test.each(['/', '/json', '/geo'])('%s is about the caller, who is on the loopback here', async (path) => {
    expect(await read(path)).toEqual({ ip: '127.0.0.1', bogon: true })
  })

  test('/ip is the caller’s address as text', async () => {
    expect(await ask('/ip')).toMatchObject({ text: '127.0.0.1\n' })
  })

  test.each(['/nonsense', '/1.1.1', '/01.1.1.1', '/fe80::1%25eth0', '/1.1.1.1%2F24', '/city/country'])(
    '%s is a wrong ip',
    async (path) => {
      const { status, text } = await ask(path)
      expect([status, JSON.parse(text)]).toEqual([404, wrongIp])
    },
  )

  test('an unknown field is a wrong module', async () => {
    const { status, text } = await ask('/8.8.8.8/colour')
    expect([status, JSON.parse(text)]).toEqual([400, expect.objectContaining({ title: 'Wrong module or field type' })])
  })

  test('an AS has prefixes and neighbours, or is not found', async () => {
    const prefixes = expect.arrayContaining([expect.objectContaining({ netblock: expect.stringContaining('/16') })])
    const record = { asn: 'AS15169', name: 'Google LLC', registry: 'arin', num_ips: expect.any(Number), prefixes }
    expect(await read('/AS15169')).toMatchObject({ ...record, peers: expect.any(Array), upstreams: ['1299', '3356'] })
    expect(await read('/AS15169/json')).toEqual(await read('/AS15169'))
    expect(await read('/AS398101')).toMatchObject({ asn: 'AS398101' })
    const missing = await ask('/AS64512')
    expect([missing.status, JSON.parse(missing.text)]).toEqual([404, { error: 'ASN Not Found!' }])
  })

  test('ranges, domains, whois and places answer', async () => {
    expect(await read('/ranges/example.com')).toMatchObject({ domain: 'example.com', num_ranges: expect.any(String) })
    expect(await read('/whois/net/8.8.8.8')).toMatchObject({ net: '8.8.8.8', total: 1, records: [{ source: 'arin' }] })
    expect(await read('/whois/poc/XY-1')).toMatchObject({ poc: 'XY-1' })
    expect((await ask('/whois/colour/1')).status).toBe(404)
    expect(await read('/places/8.8.8.8')).toMatchObject({ ip: '8.8.8.8', category: 'library' })
  })

  test('domains come in pages of 1000 at most', async () => {
    const names = async (page: number, limit: number): Promise<unknown[]> => {
      const { domains } = await read(`/domains/9.8.7.6?page=${page}&limit=${limit}`)
      return Array.isArray(domains) ? domains : []
    }
    const { total } = await read('/9.8.7.6/domains')
    const all = await names(0, 1000)
    expect(all).toHaveLength(Math.min(Number(total), 1000))
    expect(await names(2, 3)).toEqual(all.slice(6, 9))
    expect((await ask('/domains/9.8.7.6?limit=1001')).status).toBe(400)
  })

  test('a browser gets the website unless it asks for JSON', async () => {
    const browser = { 'user-agent': 'Mozilla/5.0' }
    expect((await ask('/8.8.8.8', { headers: browser })).type).toBe('text/html; charset=utf-8')
    expect((await ask('/8.8.8.8/json', { headers: browser })).type).toBe(json)
    expect((await ask('/8.8.8.8', { headers: { ...browser, accept: 'application/json' } })).type).toBe(json)
  })

  test('a callback wraps JSON only if it is an identifier', async () => {
    const wrapped = await ask('/8.8.8.8?callback=app.show')
    expect(wrapped.text).toBe(`/**/ typeof app.show === 'function' && app.show(${google});`)
    expect((await ask('/8.8.8.8?callback=alert(1)')).text).toBe(google)
  })

  test('HEAD has no body, other methods are refused, an undecodable path is', async () => {
    expect(await ask('/8.8.8.8', { method: 'HEAD' })).toEqual({ status: 200, type: json, text: '' })
    expect((await ask('/8.8.8.8', { method: 'DELETE' })).status).toBe(405)
    expect((await ask('/8.8.8.8', { method: 'OPTIONS' })).status).toBe(204)
    expect((await ask('/%ZZ')).status).toBe(400)
  })
})

describe('the newer products', () => {
  test('lite is flat', async () => {
    const as = { asn: 'AS15169', as_name: 'Google LLC', as_domain: 'google.com' }
    const place = { country_code: 'US', country: 'United States', continent_code: 'NA', continent: 'North America' }
    expect(await read('/lite/8.8.8.8')).toEqual({ ip: '8.8.8.8', ...as, ...place })
    expect(await ask('/lite//8.8.8.8/country')).toMatchObject({ text: 'United States\n' })
    expect(await read('/lite/me')).toEqual({ ip: '127.0.0.1', bogon: true })
  })

  test('lookup is nested, and so are its paths', async () => {
    const geo = { city: 'Mountain View', region_code: 'CA', continent: 'North America', latitude: 37.4056 }
    const whole = { ip: '8.8.8.8', geo, as: { asn: 'AS15169', type: 'hosting' }, is_anycast: true, is_mobile: false }
    expect(await read('/lookup/8.8.8.8')).toMatchObject(whole)
    expect(await read('/lookup/8.8.8.8/geo')).toMatchObject(geo)
    expect(await ask('/lookup/8.8.8.8/geo/city')).toMatchObject({ text: 'Mountain View\n' })
    expect(await ask('/lookup/8.8.8.8/is_anycast')).toMatchObject({ text: 'true\n' })
    expect((await ask('/lookup/8.8.8.8/geo/colour')).status).toBe(400)
  })

  test('plus and max say more', async () => {
    expect(await read('/plus/8.8.8.8')).toMatchObject({
      geo: { radius: expect.any(Number) },
      mobile: {},
      anonymous: {},
    })
    expect(await read('/max/8.8.8.8')).toMatchObject({ anonymous: { is_res_proxy: false } })
  })

  test('a malformed address has the products’ own error', async () => {
    const answers = await Promise.all(['/lite/x', '/lookup/x', '/resproxy/x'].map((path) => read(path)))
    const error = { error: 'Please provide a valid IP address' }
    expect(answers).toEqual([error, error, error])
  })

  test('resproxy knows some addresses and answers {} for the others', async () => {
    const paths = Array.from({ length: 120 }, (_, at) => `/resproxy/80.${at}.1.1`)
    const records = await Promise.all(paths.map((path) => read(path)))
    expect(records).toContainEqual({})
    expect(records).toContainEqual(
      expect.objectContaining({ service: 'ipfoxy', percent_days_seen: expect.any(Number) }),
    )
  })
})

describe('batches and tools', () => {
  test('mixed items answer under their own spelling, errors inside', async () => {
    const items = [
      '8.8.8.8/city',
      '::FFFF:1.1.1.1',
      'AS15169',
      'lite/8.8.8.8',
      'lookup/8.8.8.8/geo/city',
      '10.0.0.1/city',
      'x',
    ]
    const answer = await read('/batch', post(items))
    expect(Object.keys(answer)).toEqual(items)
    expect(answer).toMatchObject({ '8.8.8.8/city': 'Mountain View', 'lookup/8.8.8.8/geo/city': 'Mountain View' })
    expect(answer).toMatchObject({ '::FFFF:1.1.1.1': { ip: '1.1.1.1' }, 'lite/8.8.8.8': { asn: 'AS15169' } })
    expect([answer['10.0.0.1/city'], answer['x']]).toEqual(['', wrongIp])
  })

  test('the three paths and the newline list', async () => {
    const list = '8.8.8.8\r\n1.1.1.1\n\n'
    expect(Object.keys(await read('/batch/legacy', post(list)))).toEqual(['8.8.8.8', '1.1.1.1'])
    expect(await read('/batch/lite', post(list))).toMatchObject({ '8.8.8.8': { as_name: 'Google LLC' } })
  })

  test('?filter=1 drops empty results', async () => {
    const answer = await read('/batch?filter=1', post(['10.0.0.1/city', '8.8.8.8/city', '8.8.8.8/carrier']))
    expect(answer).toEqual({ '8.8.8.8/city': 'Mountain View' })
  })

  test('a batch may hold __proto__ and does no harm', async () => {
    expect((await ask('/batch', post(['__proto__']))).text).toContain('"__proto__"')
  })

  test.each([['{"a":1}'], ['[1]'], ['[["8.8.8.8"]]'], ['["8.8.8.8"']])('%s is no list', async (body) => {
    expect((await ask('/batch', post(body))).status).toBe(400)
  })

  test('1000 items are taken, 1001 are not', async () => {
    const items = Array.from({ length: 1001 }, (_, at) => `9.0.${at >> 8}.${at & 255}`)
    expect(Object.keys(await read('/batch', post(items.slice(1))))).toHaveLength(1000)
    expect((await ask('/batch', post(items))).status).toBe(400)
    expect(await read('/batch', post([]))).toEqual({})
  })

  test('a body over the limit is refused on a connection that stays', async () => {
    expect((await ask('/batch', post('8.8.8.8\n'.repeat(600_000)))).status).toBe(413)
  })

  test('summaries and maps', async () => {
    const list = '8.8.8.8\n8.8.8.8\n10.0.0.1'
    const report = { status: 'Report Generated', reportUrl: expect.stringMatching(/tools\/map\/[0-9a-f-]{36}$/) }
    expect(await read('/tools/map', post(list))).toEqual(report)
    expect(await read('/map?cli=1', post(list))).toEqual(report)
    expect(await read('/tools/summarize-ips', post(list))).toMatchObject({ status: 'Report Generated' })
    expect(await read('/summarize?cli=1', post(list))).toMatchObject({
      total: 3,
      unique: 2,
      bogon: 1,
      countries: { US: 2 },
    })
    expect((await ask('/tools/map', post('nothing'))).status).toBe(422)
  })

  test('a POST to anything else is not found', async () => {
    expect((await ask('/8.8.8.8', post(''))).status).toBe(404)
  })
})

describe('tokens and quotas', () => {
  test('Bearer, Basic and the query are read', async () => {
    const basic = `Basic ${Buffer.from('k2:').toString('base64')}`
    await ask('/8.8.8.8')
    await ask('/8.8.8.8', { headers: { authorization: basic } })
    await ask('/8.8.8.8?token=k1', {}, '')
    expect(fake.countByToken()).toEqual({ k1: 2, k2: 1 })
    expect(fake.calls.map(({ status }) => status)).toEqual([200, 200, 200])
  })

  test('an unknown token is refused, also by /me in its own words', async () => {
    const { status, text } = await ask('/8.8.8.8', {}, 'nobody')
    const error = { title: 'Unknown token', message: expect.any(String) }
    expect([status, JSON.parse(text)]).toEqual([403, { status: 403, error }])
    const me = await ask('/me', {}, 'nobody')
    expect([me.status, JSON.parse(me.text)]).toEqual([400, expect.objectContaining({ error: 'Invalid API token' })])
  })

  test.each(['', 'Bearer ', 'Basic Og=='])(
    'without a token (%j) the keyless surface is empty',
    async (authorization) => {
      const { status, text } = await ask('/8.8.8.8', { headers: { authorization } }, '')
      expect([status, JSON.parse(text)]).toEqual([429, rateLimited])
    },
  )

  test('the keyless surface can have a quota, and then says readme', async () => {
    await restart({ keylessQuota: 1 })
    expect(await read('/8.8.8.8', {}, '')).toMatchObject({ ip: '8.8.8.8', readme: 'https://ipinfo.io/missingauth' })
    expect((await ask('/8.8.8.8', {}, '')).status).toBe(429)
  })

  test('without requireToken it has no end', async () => {
    await restart({ requireToken: false })
    expect([(await ask('/8.8.8.8', {}, '')).status, (await ask('/1.1.1.1', {}, '')).status]).toEqual([200, 200])
  })

  test('a quota runs out and resets, and /me tells at any time', async () => {
    await restart({ keys: { k1: { monthlyQuota: 2, plan: 'basic' }, k2: { monthlyQuota: 1 } }, retryAfterSeconds: 30 })
    const spend = async (): Promise<number> => (await ask('/8.8.8.8')).status
    expect([await spend(), await spend(), await spend()]).toEqual([200, 200, 429])
    const limited = await fetch(`${fake.url}/8.8.8.8?token=k1`)
    expect([await limited.json(), limited.headers.get('retry-after')]).toEqual([rateLimited, '30'])
    const requests = { day: 2, month: 2, limit: 2, remaining: 0 }
    expect(await read('/me')).toMatchObject({ token: 'k1', plan: 'basic', requests })
    expect((await ask('/8.8.8.8', {}, 'k2')).status).toBe(200)
    fake.resetQuota('k1')
    expect([await spend(), (await ask('/8.8.8.8', {}, 'k2')).status]).toEqual([200, 429])
    fake.resetQuota()
    expect((await ask('/8.8.8.8', {}, 'k2')).status).toBe(200)
  })

  test('a batch costs one request an item; items beyond the quota fail inside', async () => {
    await restart({ keys: { k1: { monthlyQuota: 2 } } })
    const answer = await read('/batch', { method: 'POST', body: '["8.8.8.8/ip", "1.1.1.1/ip", "9.9.9.9/ip"]' })
    expect(answer).toEqual({ '8.8.8.8/ip': '8.8.8.8', '1.1.1.1/ip': '1.1.1.1', '9.9.9.9/ip': rateLimited })
    expect((await ask('/batch', { method: 'POST', body: '["8.8.8.8"]' })).status).toBe(429)
  })

  test('lite is not limited', async () => {
    await restart({ keys: { k1: { monthlyQuota: 0 } } })
    expect((await ask('/lite/8.8.8.8')).status).toBe(200)
    expect((await ask('/batch/lite', { method: 'POST', body: '["8.8.8.8"]' })).status).toBe(200)
    expect((await ask('/8.8.8.8')).status).toBe(429)
  })

  test('a limit a minute is over after the minute', async () => {
    await restart({ keys: { k1: { perMinute: 1 } }, clock, rateLimitHeaders: true })
    expect([(await ask('/8.8.8.8')).status, (await ask('/8.8.8.8')).status]).toEqual([200, 429])
    clock.advance(59_999)
    expect((await ask('/8.8.8.8')).status).toBe(429)
    clock.advance(1)
    const response = await fetch(`${fake.url}/8.8.8.8?token=k1`)
    expect([response.status, response.headers.get('x-ratelimit-limit')]).toEqual([200, '1'])
    expect(response.headers.get('x-ratelimit-remaining')).toBe('0')
  })

  test('a product that the token lacks is 401 {}', async () => {
    await restart({ keys: { k1: { lacks: ['privacy', 'lookup', 'asn'] } } })
    const answers = await Promise.all(['/8.8.8.8/privacy', '/lookup/8.8.8.8', '/AS15169'].map((path) => ask(path)))
    const lacking = { status: 401, type: json, text: '{}' }
    expect(answers).toEqual([lacking, lacking, lacking])
    expect((await ask('/8.8.8.8')).status).toBe(200)
  })
})

describe('the log', () => {
  test('keeps what was asked, by whom, when, and what was answered', async () => {
    clock.advance(5)
    await ask('/8.8.8.8?x=1')
    await ask('/batch', { method: 'POST', body: '["8.8.8.8","AS1"]' }, 'k2')
    const [first, second] = fake.calls
    expect(first).toEqual({
      method: 'GET',
      host: 'ipinfo.io',
      path: '/8.8.8.8?x=1',
      isReused: expect.any(Boolean),
      token: 'k1',
      atMs: clock.nowMs(),
      status: 200,
    })
    expect(second).toMatchObject({ method: 'POST', token: 'k2', items: ['8.8.8.8', 'AS1'] })
    expect(fake.callsTo('/8.8.8.8')).toEqual([first])
    expect(fake.stats()).toEqual({ total: 2, byToken: { k1: 1, k2: 1 }, byPath: { '/8.8.8.8': 1, '/batch': 1 } })
    fake.clearCalls()
    expect([fake.calls, fake.stats().total]).toEqual([[], 0])
  })

  test('nextCall is told of an arrival before its answer', async () => {
    const gate = fake.hold()
    const arrival = fake.nextCall(({ path }) => path === '/1.1.1.1')
    const asked = [ask('/8.8.8.8'), ask('/1.1.1.1')]
    expect(await arrival).toMatchObject({ path: '/1.1.1.1', status: undefined })
    gate.release()
    await Promise.all(asked)
    expect(fake.callsTo('/1.1.1.1')[0]?.status).toBe(200)
  })

  test('waitForCalls counts those that were there before', async () => {
    await ask('/8.8.8.8')
    const third = fake.waitForCalls(3)
    await Promise.all([ask('/8.8.8.8'), ask('/1.1.1.1')])
    expect(fake.calls.at(-1)).toBe(await third)
    expect(await fake.waitForCalls(2, ({ path }) => path === '/8.8.8.8')).toMatchObject({ path: '/8.8.8.8' })
  })

  test('can be bounded while the counters go on', async () => {
    await restart({ maxCalls: 4 })
    await Promise.all(Array.from({ length: 20 }, (_, at) => ask(`/8.8.8.${at}`)))
    await ask('/9.9.9.9')
    expect([fake.calls.length <= 5, fake.calls.at(-1)?.path, fake.stats().total]).toEqual([true, '/9.9.9.9', 21])
  })
})

test('the controls of other processes are shut unless they are asked for', async () => {
  expect((await ask('/_fake/stats')).status).toBe(404)
})
