import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { until } from '@ipfleet/testing/until.ts'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { cacheStatus, type LocalFleet, type Reply, startLocalFleet } from './local-fleet.ts'
import { observeRedis } from '@ipfleet/testing/redis-observer.ts'

/** Clients of the fleet: who may ask, and how much, counted over two replicas. */
const tokens = {
  free: 'free-client-token',
  five: 'five-requests-token',
  many: 'many-requests-token',
  units: 'three-units-token',
  batch: 'batch-units-token',
  together: 'together-units-token',
  usage: 'usage-told-token',
  upload: 'slow-upload-token',
}
let fleet: LocalFleet
beforeAll(async () => {
  fleet = await startLocalFleet({
    keys: ['only-key'],
    replicas: 2,
    env: {
      CLIENT_TOKENS: [
        tokens.free,
        `five=${tokens.five};requests=5/hour`,
        `many=${tokens.many};requests=10000/day`,
        `units=${tokens.units};units=3/month`,
        `${tokens.batch};requests=100/hour;units=10/day`,
        `together=${tokens.together};units=3/month`,
        `usage=${tokens.usage};requests=4/hour;units=9/day`,
        `upload=${tokens.upload};units=9/day`,
      ].join(','),
    },
  })
})
afterAll(() => fleet.stop())
afterEach(() => fleet.fake.heal())

const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` })
const ask = (token: string, path: string, replica = 0): Promise<Reply> =>
  fleet.ask(path, { replica, headers: bearer(token) })
const remainingIn = (reply: Reply, name: string): number =>
  Number(new RegExp(`"${name}";r=(\\d+)`).exec(String(reply.headers['ratelimit']))?.[1])

describe('who may ask', () => {
  test.each([
    { how: 'Bearer', path: '/9.8.1.1', headers: bearer(tokens.free) },
    {
      how: 'Basic',
      path: '/9.8.1.2',
      headers: { authorization: `Basic ${Buffer.from(`${tokens.free}:`).toString('base64')}` },
    },
    { how: '?token=', path: `/9.8.1.3?token=${tokens.free}`, headers: {} },
  ])('a known token in $how is let in, on a miss and out of memory', async ({ path, headers }) => {
    expect((await fleet.ask(path, { headers })).status).toBe(200)
    const hit = await fleet.ask(path, { headers })
    expect([hit.status, cacheStatus(hit)]).toEqual([200, expect.stringContaining('detail=l1')])
    expect([hit.headers['ratelimit'], hit.headers['ratelimit-policy']]).toEqual([undefined, undefined])
  })

  const cached = '/9.8.1.4'
  test.each([
    { path: cached, method: 'GET' },
    { path: '/9.8.1.5', method: 'GET' },
    { path: '/9.8.1.5', method: 'HEAD' },
    { path: '/', method: 'GET' },
    { path: '/me', method: 'GET' },
    { path: '/batch', method: 'POST' },
    { path: '/9.8.1.5?callback=alert(1)', method: 'GET' },
  ])('$method $path without a token is a 401, with an unknown one a 403', async ({ path, method }) => {
    await ask(tokens.free, cached)
    const body = method === 'POST' ? '["9.8.1.5"]' : ''
    const missing = await fleet.ask(path, { method, body })
    expect([missing.status, missing.headers['www-authenticate']]).toEqual([401, 'Bearer'])
    const unknown = await fleet.ask(path, { method, body, headers: bearer('no-such-token') })
    expect([unknown.status, unknown.headers['access-control-allow-origin']]).toEqual([403, '*'])
    expect(fleet.fake.callsTo('/9.8.1.5')).toHaveLength(0)
  })

  test('the refusal is in IPinfo’s form', async () => {
    expect((await fleet.ask('/9.8.1.5', { headers: bearer('no-such-token') })).json()).toEqual({
      status: 403,
      error: { title: 'Unknown token', message: expect.any(String) },
    })
  })

  test('probes, metrics and a browser’s preflight need none', async () => {
    for (const path of ['/livez', '/readyz', '/health', '/metrics', '/stats']) {
      expect([path, (await fleet.ask(path)).status]).toEqual([path, 200])
    }
    expect((await fleet.ask('/9.8.1.5', { method: 'OPTIONS' })).status).toBe(204)
  })

  test('the client’s token never goes upstream', () => {
    expect(new Set(fleet.fake.calls.map(({ token }) => token))).toEqual(new Set(['only-key']))
    expect(JSON.stringify(fleet.fake.calls)).not.toContain('client-token')
  })
})

describe('a budget of requests', () => {
  test('holds exactly, over both replicas, and is told with every answer', async () => {
    await ask(tokens.free, '/9.8.2.1')
    const replies: Reply[] = []
    for (let turn = 0; turn < 8; turn++) replies.push(await ask(tokens.five, '/9.8.2.1', turn % 2))
    expect(replies.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 429, 429, 429])
    expect(replies.map((reply) => remainingIn(reply, 'requests'))).toEqual([4, 3, 2, 1, 0, 0, 0, 0])
    for (const { headers } of replies) {
      expect(headers['ratelimit-policy']).toBe('"requests";q=5;w=3600')
      expect(headers['access-control-expose-headers']).toContain('RateLimit')
    }
    const over = replies.at(-1) as Reply
    expect(over.json()).toMatchObject({ status: 429, error: { title: 'Rate limit exceeded' } })
    expect(Number(over.headers['retry-after'])).toBeGreaterThan(0)
    expect(Number(over.headers['retry-after'])).toBeLessThanOrEqual(7200)
  })

  test('who is known to be over costs no Redis command', async () => {
    await until(async () => (await ask(tokens.five, '/9.8.2.1')).status === 429)
    await using observer = await observeRedis(fleet.redis.url)
    for (let turn = 0; turn < 20; turn++) expect((await ask(tokens.five, '/9.8.2.1')).status).toBe(429)
    expect(observer.commands().filter(({ args }) => args.some((arg) => arg.includes('client-')))).toEqual([])
  })

  test('far from its end, answers out of memory stay in memory; the fleet is told within a second', async () => {
    await ask(tokens.many, '/9.8.2.2')
    {
      await using observer = await observeRedis(fleet.redis.url)
      const replies = await Promise.all(Array.from({ length: 100 }, () => ask(tokens.many, '/9.8.2.2')))
      expect(replies.every((reply) => cacheStatus(reply).includes('detail=l1'))).toBe(true)
      expect(Math.min(...replies.map((reply) => remainingIn(reply, 'requests')))).toBe(9899)
      const commands = observer
        .commands()
        .filter(({ inner, args }) => !inner && args.join().includes('client-requests'))
      expect(commands.length).toBeLessThan(10)
    }
    await ask(tokens.many, '/9.8.2.2', 1)
    await until(async () => remainingIn(await ask(tokens.many, '/9.8.2.2', 1), 'requests') < 9900)
  })
})

describe('a budget of upstream units', () => {
  test('is spent by what goes upstream, not by hits; then only what is in memory is answered', async () => {
    const asked = ['/9.8.3.1', '/9.8.3.1', '/9.8.3.2', '/9.8.3.1/json', '/9.8.3.3']
    const replies: Reply[] = []
    for (const path of asked) replies.push(await ask(tokens.units, path))
    expect(replies.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
    expect(remainingIn(replies[0] as Reply, 'units')).toBe(2)
    expect(remainingIn(replies[4] as Reply, 'units')).toBe(0)
    const exposed = replies.map(({ headers }) => String(headers['access-control-expose-headers']))
    expect(new Set(exposed)).toEqual(new Set(['RateLimit, RateLimit-Policy, Retry-After']))
    const over = await until(async () => {
      const reply = await ask(tokens.units, '/9.8.3.4', 1)
      return reply.status === 429 && reply
    })
    expect(over.headers['ratelimit-policy']).toBe('"units";q=3;w=2592000')
    expect(Number(over.headers['retry-after'])).toBeGreaterThan(0)
    expect((await ask(tokens.units, '/9.8.3.1')).status).toBe(200)
    expect((await ask(tokens.units, '/9.8.3.5')).status).toBe(429)
    expect(fleet.fake.callsTo('/9.8.3.5')).toHaveLength(0)
  })

  test('holds for requests that come together', async () => {
    const failed = await ask(tokens.together, '/9.8.5.1?callback=1')
    const replies = await Promise.all(Array.from({ length: 20 }, (_, at) => ask(tokens.together, `/9.8.5.${at}`)))
    const answered = replies.filter(({ status }) => status === 200)
    expect(failed.status).toBe(400)
    // On a machine that stalls, some of the three may have waited too long.
    expect([1, 2, 3]).toContain(answered.length)
    expect(replies.filter(({ status }) => status === 429)).toHaveLength(20 - answered.length)
    expect(fleet.fake.calls.filter(({ path }) => path.startsWith('/9.8.5.'))).toHaveLength(answered.length)
  })

  test('is not kept for a list that is still on its way, nor a unit more than it has items', async () => {
    const upload = request(`${fleet.replicas[0]?.url}/batch`, {
      method: 'POST',
      headers: { ...bearer(tokens.upload), expect: '100-continue' },
    })
    const answered = once(upload, 'response')
    upload.flushHeaders()
    await once(upload, 'continue')
    upload.write('["9.8.8.1",')
    expect((await ask(tokens.upload, '/9.8.8.2')).status).toBe(200)
    const hold = fleet.fake.hold()
    upload.end('"9.8.8.3"]')
    await until(() => fleet.fake.calls.some(({ path }) => path === '/batch'))
    const other = ask(tokens.upload, '/9.8.8.4')
    await until(() => fleet.fake.callsTo('/9.8.8.4').length === 1)
    hold.release()
    const [response] = (await answered) as [IncomingMessage]
    response.resume()
    expect([response.statusCode, (await other).status]).toEqual([200, 200])
  })

  test('a failure of upstream counts too: it was asked', async () => {
    const before = remainingIn(await ask(tokens.batch, '/9.8.3.6'), 'units')
    fleet.fake.behave({ kind: 'status', status: 500, body: {}, paths: ['/9.8.3.7'] })
    const failed = await ask(tokens.batch, '/9.8.3.7')
    expect([failed.status, remainingIn(failed, 'units')]).toEqual([502, before - 1])
  })

  test('a batch costs its items that went upstream', async () => {
    const before = remainingIn(await ask(tokens.batch, '/9.8.3.6'), 'requests')
    const batch = (items: string[]): Promise<Reply> =>
      fleet.ask('/batch', { method: 'POST', headers: bearer(tokens.batch), body: JSON.stringify(items) })
    const left = remainingIn(await ask(tokens.batch, '/9.8.3.8'), 'units')
    const reply = await batch(['9.8.3.9', '9.8.3.10', '9.8.3.11'])
    expect([reply.status, remainingIn(reply, 'units')]).toEqual([200, left - 3])
    expect(remainingIn(reply, 'requests')).toBeLessThan(before)
  })
})

const usage = async (token: string): Promise<unknown> => (await ask(token, '/usage', 1)).json()

describe('GET /usage', () => {
  test('tells a token its budgets, what is used, and when they reset, and costs nothing', async () => {
    const path = '/9.8.7.1'
    for (let turn = 0; turn < 2; turn += 1) await ask(tokens.usage, path, turn)
    const requests = { limit: 4, window_seconds: 3600, used: 2, remaining: 2, reset_seconds: expect.any(Number) }
    const units = { limit: 9, window_seconds: 86_400, used: 1, remaining: 8, reset_seconds: expect.any(Number) }
    const told = { name: 'usage', budgets: { requests, units } }
    expect(await until(async () => isSame(await usage(tokens.usage), told))).toBe(true)
    for (let turn = 0; turn < 5; turn += 1) expect(await usage(tokens.usage)).toEqual(told)
    expect((await ask(tokens.usage, path)).status).toBe(200)
    expect(await until(async () => isSame(await usage(tokens.usage), { budgets: { requests: { used: 3 } } }))).toBe(
      true,
    )
  })

  test('a token without a budget has none, whichever way it comes', async () => {
    expect(await usage(tokens.free)).toEqual({ budgets: {} })
    const reply = await fleet.ask(`/usage?token=${tokens.free}`)
    expect([reply.json(), reply.headers['cache-control']]).toEqual([{ budgets: {} }, 'no-store'])
  })

  test('refuses those that look-ups refuse, and other methods', async () => {
    const missing = await fleet.ask('/usage')
    const unknown = await ask('no-such-token', '/usage')
    expect([missing.status, missing.headers['www-authenticate'], unknown.status]).toEqual([401, 'Bearer', 403])
    const posted = await fleet.ask('/usage', { method: 'POST', headers: bearer(tokens.free) })
    expect([posted.status, posted.headers.allow]).toEqual([405, 'GET, HEAD'])
    expect((await fleet.ask('/usage', { method: 'HEAD', headers: bearer(tokens.free) })).status).toBe(200)
    expect(fleet.fake.callsTo('/usage')).toEqual([])
  })
})

function isSame(seen: unknown, expected: object): boolean {
  try {
    expect(seen).toMatchObject(expected)
    return true
  } catch {
    return false
  }
}

test('tokens are in no log, no metric and no Redis', async () => {
  for (const secret of Object.values(tokens)) await ask(secret, `/9.8.4.1?token=${secret}`)
  await using observer = await observeRedis(fleet.redis.url)
  const seen = [
    ...fleet.replicas.map((replica) => replica.output()),
    (await fleet.ask('/metrics')).text,
    await observer.dump(),
  ].join('\n')
  expect(seen).toContain('client-units')
  for (const secret of Object.values(tokens)) {
    expect(seen).not.toContain(secret)
    expect(seen).not.toContain(Buffer.from(secret).toString('base64').slice(0, 16))
  }
  expect(seen).toMatch(/ipfleet_client_requests_total\{verdict="over_requests"\} [1-9]/)
})

test('without Redis a replica counts for itself', async () => {
  await using alone = await startLocalFleet({
    keys: ['only-key'],
    env: { REDIS_URL: '', CLIENT_TOKENS: `${tokens.five};requests=2/day` },
  })
  const statuses: number[] = []
  for (let turn = 0; turn < 3; turn++)
    statuses.push((await alone.ask('/9.8.5.1', { headers: bearer(tokens.five) })).status)
  expect(statuses).toEqual([200, 200, 429])
})

test('while Redis is away clients are still limited, and no request waits for it', async () => {
  await using alone = await startLocalFleet({
    keys: ['only-key'],
    env: { CLIENT_TOKENS: `${tokens.five};requests=40/day` },
  })
  const headers = bearer(tokens.five)
  await alone.ask('/9.8.6.1', { headers })
  await alone.redis.stop()
  await until(async () => ((await alone.ask('/health')).json() as { status: string }).status === 'degraded')
  const statuses: number[] = []
  for (let turn = 0; turn < 50; turn++) statuses.push((await alone.ask('/9.8.6.1', { headers })).status)
  expect(statuses.filter((status) => status === 200)).toHaveLength(39)
  expect(statuses.filter((status) => status === 429)).toHaveLength(11)
})
