import { apiKey } from '@ipfleet/key-pool/api-key.ts'
import { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { once } from 'node:events'
import { until } from '@ipfleet/testing/until.ts'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { FakeKey } from '@ipfleet/testing/fake-ipinfo/accounts.ts'
import type { Behaviour } from '@ipfleet/testing/fake-ipinfo/faults.ts'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { cacheStatus, healthOf, type LocalFleet, type Reply, startLocalFleet } from './local-fleet.ts'

/** A refusal has a scope (issue 12): each over two replicas, and a look-up of another address right after it is 200. */
let redis: TestRedis
beforeAll(async () => {
  redis = await startTestRedis()
})
afterAll(() => redis.stop())

let address = 0
/** A query that was not asked before. */
const fresh = (part = ''): string => `/9.${(address >> 16) & 255}.${(address >> 8) & 255}.${address++ & 255}${part}`

const named = (count: number): string[] => Array.from({ length: count }, (_, at) => `test-key-${at + 1}`)

async function expectLookups(fleet: LocalFleet): Promise<void> {
  for (const replica of [0, 1]) {
    const reply = await fleet.ask(fresh(), { replica })
    expect([reply.status, reply.text]).toEqual([200, expect.any(String)])
  }
}

/** An error may be kept for a while. */
const noCache = { 'cache-control': 'no-cache' }

function post(fleet: LocalFleet, path: string, replica = 0): Promise<Reply> {
  return fleet.ask(path, { replica, method: 'POST', body: '["8.8.8.8"]' })
}

describe('twenty keys', () => {
  let fleet: LocalFleet
  beforeAll(async () => {
    fleet = await startLocalFleet({
      redis,
      replicas: 2,
      keys: named(20),
      env: { BREAKER_OPEN_SECONDS: '1', TOOLS: 'upstream' },
    })
  })
  afterAll(() => fleet.stop())
  /** A key that rests already may come back in the middle of a test. */
  let cooling = 0
  beforeEach(async () => {
    cooling = (await healthOf(fleet)).keys.cooling
  })
  afterEach(() => {
    fleet.fake.heal()
    fleet.fake.clearCalls()
  })

  test.each(['/tools/map', '/map?cli=1', '/tools/summarize-ips', '/summarize?cli=1'])(
    'a tool’s daily limit, met by %s, is the client’s 429, and benches no key for anything else',
    async (path) => {
      const [only = ''] = path.split('?')
      fleet.fake.behave({ kind: '429-storm', retryAfterSeconds: 86_400, paths: [only] })
      const reply = await post(fleet, path)
      expect([reply.status, reply.headers['retry-after']]).toEqual([429, '86400'])
      expect(fleet.fake.calls.length).toBeLessThanOrEqual(3)
      await expectLookups(fleet)
      for (const replica of [0, 1]) expect((await healthOf(fleet, replica)).keys.cooling).toBeLessThanOrEqual(cooling)
    },
  )

  test.each<[string, Behaviour]>([
    ['redirects', { kind: 'redirect' }],
    ['fails', { kind: 'status', status: 500 }],
    ['resets', { kind: 'reset' }],
  ])('a tool that %s twelve times stops nothing but itself', async (_, behaviour) => {
    fleet.fake.behave({ ...behaviour, methods: ['POST'] })
    for (let call = 0; call < 12; call += 1)
      expect((await post(fleet, '/tools/other')).status).toBeGreaterThanOrEqual(500)
    await expectLookups(fleet)
    expect((await healthOf(fleet)).status).toBe('ok')
  })

  test.each<[string, Behaviour]>([
    ['a page of a wall in front of upstream', { kind: 'wall' }],
    ['a page under 404', { kind: 'wall', status: 404 }],
    ['an error inside of a 200', { kind: 'error-inside' }],
  ])('%s is not passed on: the next key is asked', async (_, behaviour) => {
    const path = fresh()
    fleet.fake.behave({ ...behaviour, times: 1, paths: [path] })
    const reply = await fleet.ask(path)
    expect([reply.status, reply.json()]).toEqual([200, expect.objectContaining({ ip: path.slice(1) })])
    await expectLookups(fleet)
  })

  test.each<[string, unknown]>([
    ['{}', {}],
    ['the record of another address', { ip: '8.8.4.4', city: 'Elsewhere' }],
    ['an error without a status', { error: { title: 'Whatever', message: 'no' } }],
  ])('%s under 200 is not kept', async (_, body) => {
    const path = fresh()
    fleet.fake.behave({ kind: 'status', status: 200, body, times: 1, paths: [path] })
    expect((await fleet.ask(path)).status).toBeGreaterThanOrEqual(400)
    await expectLookups(fleet)
    const good = await until(async () => {
      const reply = await fleet.ask(path, { replica: 1 })
      return reply.status === 200 && reply
    })
    expect(good.json()).toMatchObject({ ip: path.slice(1) })
  })

  test.each<[string, string, Behaviour]>([
    ['a list', '/9.9.9.10/privacy', { kind: 'status', status: 200, body: [] }],
    ['the record of another address', '/resproxy/9.9.9.11', { kind: 'status', status: 200, body: { ip: '8.8.4.4' } }],
    ['a gateway’s message', '/9.9.9.12/company', { kind: 'status', status: 200, body: { message: 'No service' } }],
    ['a page', '/ranges/wall.example', { kind: 'wall', status: 200 }],
    ['a page', '/whois/net/NET-9', { kind: 'wall', status: 200 }],
  ])('%s under 200 is not kept as the answer to %s', async (_, path, behaviour) => {
    fleet.fake.behave({ ...behaviour, times: 1 })
    expect((await fleet.ask(path)).status).toBeGreaterThanOrEqual(400)
    await expectLookups(fleet)
    await until(async () => (await fleet.ask(path, { replica: 1, headers: noCache })).status === 200)
  })

  test('a wall that stays is upstream’s failure, blames no key, and leaves the stale copy in use', async () => {
    const path = fresh()
    fleet.fake.behave({ kind: 'wall', paths: [path] })
    const reply = await fleet.ask(path)
    expect([reply.status, reply.headers['content-type']]).toEqual([502, 'application/json; charset=utf-8'])
    expect(fleet.fake.calls).toHaveLength(3)
    await expectLookups(fleet)
    expect((await healthOf(fleet)).keys.cooling).toBeLessThanOrEqual(cooling)
  })

  test.each([408, 421, 425])('a %i is about the connection: asked again on a new one', async (status) => {
    const path = fresh()
    fleet.fake.behave({ kind: 'status', status, times: 1, paths: [path] })
    expect((await fleet.ask(path)).status).toBe(200)
    expect(new Set(fleet.fake.calls.map(({ token }) => token)).size).toBe(1)
  })

  test('an address that is blocked is refused, and nothing else', async () => {
    const path = fresh()
    fleet.fake.behave({ kind: '403-storm', paths: [path] })
    for (const replica of [0, 1]) expect((await fleet.ask(path, { replica })).status).toBe(403)
    expect(fleet.fake.callsTo(path).length).toBeLessThanOrEqual(6)
    await expectLookups(fleet)
    expect((await healthOf(fleet)).keys.cooling).toBeLessThanOrEqual(cooling)
  })

  test('a batch of nothing but blocked addresses is refused, and nothing else', async () => {
    const blocked = Array.from({ length: 2 }, () => fresh().slice(1))
    await expectLookups(fleet)
    fleet.fake.block(blocked)
    const reply = await fleet.ask('/batch', { method: 'POST', body: JSON.stringify(blocked) })
    const refused = expect.objectContaining({ status: 403 })
    expect([reply.status, reply.json()]).toEqual([200, Object.fromEntries(blocked.map((one) => [one, refused]))])
    fleet.fake.block([])
    await expectLookups(fleet)
    expect((await healthOf(fleet)).keys.cooling).toBeLessThanOrEqual(cooling)
  })

  test('a 402 of every key for one address is about it, where the keys have just answered', async () => {
    await fleet.askAll(80, () => fresh())
    const path = fresh()
    fleet.fake.behave({ kind: 'status', status: 402, body: {}, paths: [path] })
    expect((await fleet.ask(path)).status).toBe(503)
    await expectLookups(fleet)
    expect((await healthOf(fleet)).keys.cooling).toBeLessThanOrEqual(cooling)
  })

  test.each([402, 429])(
    'a %i of every key for one item of a batch is about it, and costs no key its turn',
    async (status) => {
      await fleet.askAll(80, () => fresh())
      const items = Array.from({ length: 3 }, () => fresh().slice(1))
      const [odd = ''] = items
      const refusal = { [odd]: { status, error: { title: 'Refused' } } }
      const all = { ...Object.fromEntries(items.map((ip) => [ip, { ip }])), ...refusal }
      const batches = { kind: 'status', status: 200, paths: ['/batch'] } as const
      fleet.fake.behave({ ...batches, body: all, when: (call) => call.items?.length === items.length })
      fleet.fake.behave({ ...batches, body: refusal, when: (call) => call.items?.length === 1 })
      fleet.fake.clearCalls()
      const reply = await fleet.ask('/batch', { method: 'POST', body: JSON.stringify(items) })
      expect([reply.status, reply.json()]).toMatchObject([200, { ...all, [odd]: { status: 503 } }])
      expect(Number(reply.headers['retry-after'])).toBeLessThan(5)
      expect(fleet.fake.calls.length).toBeLessThanOrEqual(21)
      await expectLookups(fleet)
      expect((await healthOf(fleet)).keys.cooling).toBeLessThanOrEqual(cooling)
      fleet.fake.heal()
      // Until one batch has shown that the source is well.
      await until(async () => (await post(fleet, '/batch')).status === 200)
    },
  )

  test('a limit by source pauses the source for a product and no key; one request probes', async () => {
    fleet.fake.behave({ kind: '429-storm' })
    expect((await fleet.ask(fresh())).status).toBe(503)
    expect(fleet.fake.calls.length).toBeLessThanOrEqual(3)
    for (let request = 0; request < 20; request += 1) {
      const reply = await fleet.ask(fresh(), { replica: request % 2 })
      expect([reply.status, Number(reply.headers['retry-after'])]).toEqual([503, expect.any(Number)])
    }
    expect((await healthOf(fleet)).keys.cooling).toBeLessThanOrEqual(cooling)
    fleet.fake.heal()
    await until(async () => (await fleet.ask(fresh(), { replica: 1 })).status === 200)
    fleet.fake.clearCalls()
    const replies = await fleet.askAll(40, () => fresh())
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]))
    expect(Object.keys(fleet.fake.countByToken()).length).toBeGreaterThanOrEqual(20 - cooling)
  })
})

describe('four keys, of which only the fourth has the modules', () => {
  const refusals = ['unauthorized', 'permission', 'no-access', 'unknown-token', 'wrong-module', 'payment'] as const
  const modules = ['privacy', 'company', 'carrier', 'abuse', 'asn', 'domains'] as const
  const lacking = (refusesWith: (typeof refusals)[number]): FakeKey => ({ lacks: modules, refusesWith })
  let fleet: LocalFleet
  beforeAll(async () => {
    const keys = Object.fromEntries(named(4).map((key, at) => [key, at < 3 ? lacking('unauthorized') : {}]))
    fleet = await startLocalFleet({ redis, replicas: 2, keys: named(4), fake: { keys } })
  })
  afterAll(() => fleet.stop())

  test.each(refusals.map((form, at) => [form, modules[at] as string] as const))(
    'refused with %s: /%s is always answered, by the fourth, and the others are tried once',
    async (form, module) => {
      for (const key of named(3)) fleet.fake.setKey(key, lacking(form))
      fleet.fake.clearCalls()
      for (let request = 0; request < 12; request += 1) {
        expect((await fleet.ask(fresh(`/${module}`), { replica: request % 2 })).status).toBe(200)
      }
      const calls = fleet.fake.calls.filter(({ path }) => path.endsWith(module))
      expect(calls.filter(({ status }) => status === 200).map(({ token }) => token)).toEqual(
        Array(12).fill('test-key-4'),
      )
      expect(calls.length).toBeLessThanOrEqual(15)
      await expectLookups(fleet)
      expect((await healthOf(fleet)).keys.cooling).toBe(0)
    },
  )

  test('what every key can answer is spread over all of them', async () => {
    fleet.fake.clearCalls()
    await fleet.askAll(40, () => fresh())
    expect(Object.values(fleet.fake.countByToken())).toEqual([10, 10, 10, 10])
  })
})

describe('one key', () => {
  const forms = ['unknown-token', 'unauthorized', 'permission', 'wrong-module'] as const
  const modules = ['privacy', 'carrier', 'abuse', 'domains'] as const
  describe('that may not ask a module', () => {
    let fleet: LocalFleet
    beforeAll(async () => {
      const keys = { 'test-key-1': { lacks: modules } }
      fleet = await startLocalFleet({ redis, replicas: 2, keys: named(1), fake: { keys } })
    })
    afterAll(() => fleet.stop())

    test.each(forms.map((form, at) => [form, modules[at] as string] as const))(
      '(%s, /%s): the client learns it, the next from memory, and look-ups go on',
      async (refusesWith, module) => {
        fleet.fake.setKey('test-key-1', { lacks: modules, refusesWith })
        await expectLookups(fleet)
        const refused = await fleet.ask(fresh(`/${module}`))
        expect([400, 401, 403]).toContain(refused.status)
        await expectLookups(fleet)
        fleet.fake.clearCalls()
        const again = await fleet.ask(fresh(`/${module}`), { replica: 1 })
        const json = 'application/json; charset=utf-8'
        expect([again.status, again.headers['content-type']]).toEqual([refused.status, json])
        expect(fleet.fake.calls).toEqual([])
        await expectLookups(fleet)
        expect((await fleet.ask(fresh('/company'))).status).toBe(200)
      },
    )
  })

  test('that upstream does not know is settled by one /me for the fleet, and quarantined', async () => {
    await using fleet = await startLocalFleet({
      redis,
      replicas: 2,
      keys: named(1),
      fake: { keys: {} },
    })
    const replies = await fleet.askAll(8, () => fresh())
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([503]))
    expect(fleet.fake.callsTo('/me')).toHaveLength(1)
    expect((await healthOf(fleet, 1)).keys).toEqual({ total: 1, active: 0, cooling: 1 })
  })
})

test('of two keys one is used up (402): the other answers everything, batches too', async () => {
  const keys = { 'test-key-1': { monthlyQuota: 1, exhaustedWith: 402 }, 'test-key-2': {} } as const
  await using fleet = await startLocalFleet({
    redis,
    replicas: 2,
    keys: named(2),
    fake: { keys },
  })
  const replies = await fleet.askAll(10, () => fresh())
  expect(replies.map(({ status }) => status)).toEqual(Array(10).fill(200))
  fleet.fake.clearCalls()
  const items = Array.from({ length: 6 }, () => fresh().slice(1))
  const batch = await fleet.ask('/batch', { method: 'POST', body: JSON.stringify(items) })
  expect(batch.json()).toEqual(Object.fromEntries(items.map((ip) => [ip, expect.objectContaining({ ip })])))
  await expectLookups(fleet)
  expect(Object.keys(fleet.fake.countByToken())).toEqual(['test-key-2'])
  // Lite costs nothing.
  expect((await fleet.ask('/lite/8.8.8.8')).status).toBe(200)
  // A plan that lacks a product says nothing of what it has.
  fleet.fake.behave({ kind: 'status', status: 402, body: {}, paths: ['/max/8.8.8.8', '/lookup/8.8.8.8'] })
  for (const path of ['/max/8.8.8.8', '/lookup/8.8.8.8']) expect((await fleet.ask(path)).status).toBe(503)
  await expectLookups(fleet)
  expect(cacheStatus(batch)).toContain('fwd=miss')
})

describe('fifty keys', () => {
  test('and a limit by source of three seconds: eight calls at most by the first request, back soon, no key doubled', async () => {
    await using fleet = await startLocalFleet({ redis, replicas: 2, keys: named(50) })
    await expectLookups(fleet)
    fleet.fake.clearCalls()
    fleet.fake.behave({ kind: '429-storm' })
    const startedMs = performance.now()
    expect((await fleet.ask(fresh())).status).toBe(503)
    expect(fleet.fake.calls.length).toBeLessThanOrEqual(8)
    // Clients go on asking meanwhile.
    while (performance.now() - startedMs < 3000) {
      const replies = await fleet.askAll(4, () => fresh())
      expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([503]))
    }
    fleet.fake.heal()
    const endedMs = performance.now()
    await until(async () => (await fleet.ask(fresh(), { replica: 1 })).status === 200)
    expect(performance.now() - endedMs).toBeLessThan(30_000)
    fleet.fake.clearCalls()
    // A key that tries out whether the limit is over misses a turn meanwhile, so one round each is not enough for all.
    const replies = [...(await fleet.askAll(100, () => fresh())), ...(await fleet.askAll(50, () => fresh()))]
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]))
    expect(Object.keys(fleet.fake.countByToken())).toHaveLength(50)
    expect((await healthOf(fleet)).keys.cooling).toBe(0)
  })
})

test('benches and quotas of the release before are heeded, and end', async () => {
  const [first, second, third] = named(3).map((key) => apiKey(key).id)
  const untilMs = Date.now() + 60_000
  await using fleet = await startLocalFleet({ redis, replicas: 0, keys: named(3) })
  await writeHash(redis.url, 'ipfleet:keys:{pool}:benches', {
    [`${first}:until`]: untilMs,
    [`${first}:strikes`]: 2,
    [`${first}:reason`]: 'denied',
  })
  await writeHash(redis.url, 'ipfleet:keys:{pool}:quotas', {
    [`${second}:account:left`]: 0,
    [`${second}:account:limit`]: 1000,
    [`${second}:account:total`]: 1000,
    [`${second}:account:until`]: untilMs,
  })
  await Promise.all([fleet.join(), fleet.join()])
  const replies = await fleet.askAll(20, () => fresh())
  expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]))
  expect(Object.keys(fleet.fake.countByToken())).toEqual(['test-key-3'])
  const { keys } = (await fleet.ask('/keys', { replica: 1 })).json() as { keys: object[] }
  expect(keys).toMatchObject([
    { id: first, state: 'cooling', reason: 'denied' },
    { id: second, state: 'cooling', reason: 'exhausted' },
    { id: third, state: 'active' },
  ])
  await fleet.ask(`/keys/${first}/release`, { method: 'POST' })
  await fleet.askAll(20, () => fresh())
  expect(Object.keys(fleet.fake.countByToken()).toSorted()).toEqual(['test-key-1', 'test-key-3'])
})

test('a batch of which a part was refused says when to ask again, and a batch of one product benches no other', async () => {
  await using fleet = await startLocalFleet({ redis, replicas: 2, keys: named(2) })
  const known = fresh().slice(1)
  await fleet.ask(`/${known}`)
  fleet.fake.behave({ kind: '429-storm', retryAfterSeconds: 20, methods: ['POST'] })
  const batch = (items: readonly string[]): Promise<Reply> =>
    fleet.ask('/batch', { method: 'POST', body: JSON.stringify(items) })
  const partly = await batch([known, fresh().slice(1)])
  expect(partly.status).toBe(200)
  expect(Number(partly.headers['retry-after'])).toBeGreaterThan(15)
  fleet.fake.heal()
  await expectLookups(fleet)
  expect((await batch([`${fresh().slice(1)}/privacy`])).headers['retry-after']).toBeUndefined()
})

/** As a replica of the release before has left it. */
async function writeHash(url: string, key: string, fields: Readonly<Record<string, string | number>>): Promise<void> {
  const link = new RedisLink({ url, name: 'state', timeoutMs: 15_000 })
  try {
    if (!link.up) await once(link, 'up')
    await link.run((client) => client.hset(key, fields))
  } finally {
    link.close()
  }
}
