import { get } from 'node:http'
import type { AnsweredQuery, ConsoleKey, Overview, Session } from '@ipfleet/console/contract.ts'
import { apiKey } from '@ipfleet/key-pool/api-key.ts'
import { observeRedis, type RedisObserver } from '@ipfleet/testing/redis-observer.ts'
import { until } from '@ipfleet/testing/until.ts'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { defaultKeys, type LocalFleet, type Reply, startLocalFleet } from './local-fleet.ts'

/** The console of a fleet of two replicas: who gets in, what is shown, what can be done. */

const adminToken = 'console-admin-token'
const readToken = 'console-read-token'
const budgeted = 'a-client-token'
let fleet: LocalFleet
let redis: RedisObserver
beforeAll(async () => {
  fleet = await startLocalFleet({
    replicas: 2,
    env: {
      ADMIN_TOKEN: adminToken,
      CONSOLE_READ_TOKEN: readToken,
      CLIENT_TOKENS: `shop=${budgeted};requests=10/hour`,
      UNIT_PRICE: '0.5',
      CURRENCY: 'EUR',
      TRUST_PROXY: 'loopback',
      LOG_FORMAT: 'json',
    },
  })
  redis = await observeRedis(fleet.redis.url)
})
afterAll(async () => {
  await redis[Symbol.asyncDispose]()
  await fleet.stop()
})

type Headers = Readonly<Record<string, string>>
const origin = (replica = 0): string => `http://127.0.0.1:${fleet.replicas[replica]?.port}`
const host = (replica = 0): Headers => ({ host: `127.0.0.1:${fleet.replicas[replica]?.port}` })

function logIn(token: unknown, headers: Headers = {}, replica = 0): Promise<Reply> {
  return fleet.ask('/console/session', {
    method: 'POST',
    replica,
    headers: { ...host(replica), origin: origin(replica), 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ token }),
  })
}

/** The fields of a browser that is logged in, with what its writes bring. */
async function visitor(token: string): Promise<Headers> {
  const cookie = cookieOf(await logIn(token))
  const session = (await fleet.ask('/console/api/session', { headers: { cookie } })).json() as Session
  return { ...host(), cookie, origin: origin(), 'x-csrf-token': session.csrf }
}

const cookieOf = ({ headers }: Reply): string => headers['set-cookie']?.[0]?.split(';')[0] ?? ''
const overviewFor = async (headers: Headers, replica = 0): Promise<Overview> =>
  (await fleet.ask('/console/api/overview', { headers, replica })).json() as Overview

const act = (path: string, headers: Headers, method = 'POST') => fleet.ask(`/console/api/${path}`, { method, headers })

function openStream(cookie: string) {
  const { promise, resolve } = Promise.withResolvers<{ status: number; first: Promise<string>; close: () => void }>()
  const req = get(`${origin()}/console/api/events`, { headers: { cookie } }, (res) => {
    const first = Promise.withResolvers<string>()
    let text = ''
    res.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      if (text.includes('\n\n')) first.resolve(text.slice(0, text.indexOf('\n\n') + 2))
    })
    res.on('error', () => {})
    resolve({ status: res.statusCode ?? 0, first: first.promise, close: () => req.destroy() })
  })
  req.on('error', () => {})
  return promise
}

describe('who gets in', () => {
  test('with ADMIN_TOKEN set, no one without a token, from this machine neither', async () => {
    for (const path of ['session', 'overview', 'events', 'lookup?q=8.8.8.8', 'keys', 'nothing']) {
      const reply = await fleet.ask(`/console/api/${path}`)
      expect([path, reply.status]).toEqual([path, 401])
      expect(reply.headers['access-control-allow-origin']).toBeUndefined()
    }
    const bearer = { authorization: `Bearer ${adminToken}` }
    expect((await fleet.ask('/console/api/session', { headers: bearer })).status).toBe(401)
  })

  test.each([
    { token: adminToken, role: 'admin' },
    { token: readToken, role: 'read' },
  ])('a token begins a session of the role $role, on every replica', async ({ token, role }) => {
    const reply = await logIn(token)
    expect(reply.status).toBe(204)
    expect(reply.headers['set-cookie']?.[0]).toMatch(
      /^ipfleet-console=[\w-]{43}; Path=\/; Max-Age=86400; HttpOnly; SameSite=Strict$/,
    )
    for (const replica of [0, 1]) {
      const session = await fleet.ask('/console/api/session', { replica, headers: { cookie: cookieOf(reply) } })
      expect(session.json()).toMatchObject({ role, by: 'token', features: { redis: true, keys: true, jobs: false } })
    }
  })

  test('behind TLS the cookie is Secure and bound to its host', async () => {
    const tls = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'fleet.example', origin: 'https://fleet.example' }
    const reply = await logIn(adminToken, tls)
    expect(reply.headers['set-cookie']?.[0]).toMatch(/^__Host-ipfleet-console=.+; SameSite=Strict; Secure$/)
    expect((await fleet.ask('/console/api/session', { headers: { ...tls, cookie: cookieOf(reply) } })).status).toBe(200)
    // A plain one of that name may have been set by another host.
    const tossed = cookieOf(reply).replace('__Host-', '')
    expect((await fleet.ask('/console/api/session', { headers: { ...tls, cookie: tossed } })).status).toBe(401)
  })

  test.each([
    { what: 'another token', token: 'guessed-token', status: 401 },
    { what: 'an empty one', token: '', status: 401 },
    { what: 'no text', token: 7, status: 400 },
    { what: 'a form', headers: { 'content-type': 'text/plain' }, status: 415 },
    { what: 'a page of another site', headers: { origin: 'https://evil.example' }, status: 403 },
    { what: 'one that its browser tells of', headers: { 'sec-fetch-site': 'cross-site' }, status: 403 },
  ])('$what begins none', async ({ token = adminToken, headers = {}, status }) => {
    const reply = await logIn(token, headers)
    expect([reply.status, reply.headers['set-cookie']]).toEqual([status, undefined])
    expect(reply.text).not.toContain('guessed')
  })

  test('a failed login is logged without what was tried', async () => {
    const line = await fleet.replicas[0]?.waitForLine(({ msg }) => msg === 'console login failed')
    expect(line).toMatchObject({ client: '127.0.0.1' })
    const output = fleet.replicas.map((replica) => replica.output()).join('')
    for (const secret of ['guessed-token', adminToken, readToken]) expect(output).not.toContain(secret)
  })

  test('a session is never used for another origin', async () => {
    const headers = await visitor(adminToken)
    for (const cross of [{ origin: 'https://evil.example' }, { origin: 'null' }, { 'sec-fetch-site': 'same-site' }]) {
      const reply = await fleet.ask('/console/api/overview', { headers: { ...headers, ...cross } })
      expect(reply.status).toBe(403)
      expect(reply.headers['access-control-allow-origin']).toBeUndefined()
    }
  })

  test('it ends with its logout, on all replicas; a forged one does not end it', async () => {
    const headers = await visitor(readToken)
    const out = (more: Headers) => fleet.ask('/console/session', { method: 'DELETE', headers: { ...headers, ...more } })
    expect((await out({ 'x-csrf-token': 'forged' })).status).toBe(403)
    expect(
      (await fleet.ask('/console/api/session', { replica: 1, headers: { cookie: headers['cookie'] ?? '' } })).status,
    ).toBe(200)
    expect((await out({})).status).toBe(204)
    for (const replica of [0, 1]) {
      const { status } = await fleet.ask('/console/api/session', {
        replica,
        headers: { cookie: headers['cookie'] ?? '' },
      })
      expect(status).toBe(401)
    }
  })

  test('Redis holds neither ids nor tokens, and nothing of it for ever', async () => {
    const headers = await visitor(adminToken)
    const dump = await redis.dump()
    const id = headers['cookie']?.split('=')[1] ?? 'none'
    for (const secret of [id, adminToken, readToken, ...defaultKeys]) expect(dump).not.toContain(secret)
    const keys = (await redis.call('KEYS', '*console*')) as string[]
    expect(keys.length).toBeGreaterThan(0)
    for (const key of keys) expect(Number(await redis.call('PTTL', key))).not.toBe(-1)
  })
})

describe('what can be done', () => {
  const [id = ''] = defaultKeys.map((key) => apiKey(key).id)
  test('a key benched here is benched for the fleet, and released again', async () => {
    const headers = await visitor(adminToken)
    const benched = await act(`keys/${id}/bench?seconds=600`, headers)
    expect(benched.json()).toMatchObject({ id, state: 'cooling', reason: 'operator' })
    const rows = (await fleet.ask('/keys', { replica: 1, headers: { authorization: `Bearer ${adminToken}` } })).json()
    expect((rows as { keys: ConsoleKey[] }).keys.find((row) => row.id === id)).toMatchObject({ state: 'cooling' })
    expect((await act(`keys/${id}/release`, headers)).json()).toMatchObject({ id, state: 'active' })
  })

  test('a test asks upstream once for the account, which costs no unit', async () => {
    fleet.fake.clearCalls()
    const row = (await act(`keys/${id}/test`, await visitor(adminToken))).json()
    expect(row).toMatchObject({ id, taken: 0, tested: { status: 200 } })
    expect(fleet.fake.calls.map(({ path }) => path)).toEqual(['/me'])
  })

  test.each([
    { what: 'the role read', token: readToken },
    { what: 'no CSRF token', headers: { 'x-csrf-token': '' } },
    { what: 'that of another session', headers: { 'x-csrf-token': 'a'.repeat(43) } },
    { what: 'another origin', headers: { origin: 'http://127.0.0.1:1' } },
    { what: 'no origin', headers: { origin: undefined } },
  ])('not by $what', async ({ token = adminToken, headers = {} }) => {
    const all = { ...(await visitor(token)), ...headers }
    const given = Object.fromEntries(
      Object.entries(all).filter((field): field is [string, string] => field[1] !== undefined),
    )
    for (const path of [`keys/${id}/bench?seconds=600`, `keys/${id}/release`, `keys/${id}/test`]) {
      expect((await act(path, given)).status).toBe(403)
    }
    expect((await act('cache', given, 'DELETE')).status).toBe(403)
  })
})

describe('what is shown', () => {
  test('the way of look-ups through the fleet, with the money that was saved', async () => {
    const headers = await visitor(readToken)
    const before = (await overviewFor(headers)).flow.totals
    const asClient = { authorization: `Bearer ${budgeted}` }
    for (const replica of [0, 0, 1]) await fleet.ask('/9.9.9.1', { replica, headers: asClient })
    const { flow, clients } = await until(async () => {
      const view = await overviewFor(headers)
      return view.flow.totals.asked >= before.asked + 3 && view
    })
    const since = (kind: 'memory' | 'redis' | 'upstream' | 'saved') => flow.totals[kind] - before[kind]
    // A replica that stands still may lose what it has loaded, so that more is asked of upstream.
    expect(since('upstream')).toBeGreaterThanOrEqual(1)
    expect(since('memory') + since('redis') + since('upstream')).toBe(3)
    expect(since('saved')).toBe(since('memory') + since('redis'))
    expect(flow.minutes).toHaveLength(61)
    expect(flow.money).toEqual({
      saved: flow.totals.saved / 2,
      spent: flow.totals.upstream / 2,
      currency: 'EUR',
    })
    expect(clients).toEqual([expect.objectContaining({ id: 'shop', budget: 'requests', used: 3, limit: 10 })])
  })

  test('one address, and how the fleet answers it', async () => {
    const headers = await visitor(readToken)
    const ask = async (q: string) =>
      (await fleet.ask(`/console/api/lookup?q=${encodeURIComponent(q)}`, { headers })).json() as AnsweredQuery
    expect(await ask('9.9.9.2')).toMatchObject({
      status: 200,
      record: { ip: '9.9.9.2' },
      tier: 'upstream',
      units: 1,
      nextCosts: 0,
      keyClass: 'ipinfo',
    })
    expect(await ask('9.9.9.2')).toMatchObject({ tier: 'memory', units: 0, nextCosts: 0 })
    expect(await ask('10.0.0.1')).toMatchObject({ record: { bogon: true }, tier: 'offline', units: 0 })
    expect(await ask('AS15169')).toMatchObject({ status: 200, record: { asn: 'AS15169' } })
    for (const q of ['', 'me', '../keys', '8.8.8.8/24', '<script>', 'batch']) {
      const { status } = await fleet.ask(`/console/api/lookup?q=${encodeURIComponent(q)}`, { headers })
      expect([q, status === 400 || status === 404]).toEqual([q, true])
    }
  })

  test('both replicas, Redis and its latency, and a replica that is gone', async () => {
    const headers = await visitor(readToken)
    const view = await until(async () => {
      const now = await overviewFor(headers)
      return now.replicas.length === 2 && now
    })
    expect(view.replicas).toEqual(
      fleet.replicas.map(({ port }) =>
        expect.objectContaining({ id: expect.stringMatching(`:${port}$`), service: 'lookup' }),
      ),
    )
    expect(view.redis).toEqual([expect.objectContaining({ name: 'state', state: 'up', topology: 'server' })])
    const third = await fleet.join()
    const idOfThird = await until(async () => {
      const { replicas } = await overviewFor(headers)
      return replicas.find(({ id }) => id.endsWith(`:${third.port}`))?.id
    })
    third.kill('SIGKILL')
    await third.exited
    // As if it had happened a minute ago.
    await redis.call('ZADD', 'ipfleet:presence:{presence}', String(Date.now() - 60_000), idOfThird)
    const row = await until(async () => {
      const found = (await overviewFor(headers)).replicas.find(({ id }) => id === idOfThird)
      return found?.state === 'gone' && found
    })
    expect(Date.parse(row.seenAt)).toBeLessThan(Date.now() - 30_000)
  })

  test('the same by events, in places of their own', async () => {
    const { cookie = '' } = await visitor(readToken)
    // HEAD takes no place.
    for (let time = 0; time < 6; time += 1) {
      const head = await fleet.ask('/console/api/events', { method: 'HEAD', headers: { cookie } })
      expect([head.status, head.headers['content-type']]).toEqual([200, 'text/event-stream; charset=utf-8'])
    }
    const streams = await Promise.all(Array.from({ length: 5 }, () => openStream(cookie)))
    expect((await fleet.ask('/console/api/events', { headers: { cookie } })).status).toBe(429)
    for (const { first } of streams) {
      const [, data = ''] = /^event: overview\ndata: (.*)\n\n$/.exec(await first) ?? []
      expect(JSON.parse(data)).toMatchObject({ verdict: {}, flow: {}, keys: [{}, {}, {}] })
    }
    streams[0]?.close()
    await until(async () => {
      const again = await openStream(cookie)
      again.close()
      return again.status === 200
    })
    for (const { close } of streams) close()
  })
})

describe('the page', () => {
  test('is served with a policy that allows nothing from elsewhere', async () => {
    const page = await fleet.ask('/console')
    const policy = String(page.headers['content-security-policy'])
    expect(policy).toContain("default-src 'none'")
    expect(policy).toContain("frame-ancestors 'none'")
    expect(policy).not.toContain('unsafe')
    expect(page.headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' })
    const scripts = [...page.text.matchAll(/<script[^>]+src="([^"]+)"/g)].map(([, path = '']) => path)
    expect(scripts.length).toBeGreaterThan(0)
    for (const path of scripts) {
      const script = await fleet.ask(path)
      expect(script.headers['content-type']).toBe('text/javascript; charset=utf-8')
      const again = await fleet.ask(path, { headers: { 'if-none-match': String(script.headers['etag']) } })
      expect(again.status).toBe(304)
    }
  })

  test.each([
    '/console/../keys',
    '/console/%2e%2e/keys',
    '/console/..%2fpackage.json',
    '/console/%00',
    '/console/contract.ts',
    '/console/lib/../package.json',
    '/console/tsconfig.json',
  ])('and no file beside: %s', async (path) => {
    expect([400, 404]).toContain((await fleet.ask(path)).status)
  })
})

// After what memory is asked for: other replicas hear of it later.
test('the caches are emptied', async () => {
  expect((await act('cache', await visitor(adminToken), 'DELETE')).status).toBe(204)
})

test('an address that guesses is stopped on all replicas, and no other', async () => {
  const guess = (replica: number) => logIn('guessed-token', { 'x-forwarded-for': '192.0.2.1' }, replica)
  const refused = await until(async () => {
    const replies = [await guess(0), await guess(1)]
    return replies.every(({ status }) => status === 429) && replies[0]
  })
  expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0)
  expect((await logIn(adminToken, { 'x-forwarded-for': '192.0.2.1' })).status).toBe(429)
  expect((await logIn(adminToken)).status).toBe(204)
})

test('without Redis operators stay logged in, and log in', async () => {
  const headers = await visitor(adminToken)
  await fleet.redis.stop()
  await until(async () => {
    const { verdict, redis: rows } = await overviewFor(headers)
    return rows?.[0]?.state === 'down' && verdict.sentence.startsWith('Redis is away') && verdict.action
  })
  const later = await logIn(readToken)
  expect(later.status).toBe(204)
  expect((await overviewFor({ cookie: cookieOf(later) })).verdict.state).toBe('red')
})
