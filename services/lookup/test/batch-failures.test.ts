import { until } from '@ipfleet/testing/until.ts'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { type AskOptions, cacheStatus, healthOf, type LocalFleet, startLocalFleet } from './local-fleet.ts'

let redis: TestRedis
beforeAll(async () => {
  redis = await startTestRedis()
})
afterAll(() => redis.stop())

let network = 0
/** So many addresses of a network that were not asked for before. */
function freshAddresses(count: number): string[] {
  network += 1
  return Array.from({ length: count }, (_, at) => `9.${network}.${Math.floor(at / 250)}.${at % 250}`)
}
const post = (items: readonly string[], options: AskOptions = {}): AskOptions => ({
  method: 'POST',
  body: JSON.stringify(items),
  ...options,
})

test('when a key runs dry in the middle of a batch, the next ones go on where it ended, and it rests', async () => {
  const keys = { 'test-key-1': { monthlyQuota: 30 }, 'test-key-2': { monthlyQuota: 40 }, 'test-key-3': {} }
  await using fleet = await startLocalFleet({ redis, fake: { keys } })
  const items = freshAddresses(100)
  // Whichever is first, both small keys are empty after three.
  for (const part of [items.slice(0, 50), items.slice(50, 80), items.slice(80)]) {
    const reply = await fleet.ask('/batch', post(part))
    expect(reply.json()).toEqual(Object.fromEntries(part.map((ip) => [ip, expect.objectContaining({ ip })])))
  }
  const paid = fleet.fake.calls.filter(({ status }) => status === 200)
  for (const key of ['test-key-1', 'test-key-2']) {
    expect(paid.filter(({ token }) => token === key).length).toBeLessThanOrEqual(2)
  }
  expect((await healthOf(fleet)).keys.cooling).toBeGreaterThan(0)
})

test('where no plan has batches, the items are asked singly, by the first batch and by those after it', async () => {
  await using fleet = await startLocalFleet({ redis })
  fleet.fake.behave({ kind: '403-storm', paths: ['/batch'] })
  for (const items of [freshAddresses(5), freshAddresses(5)]) {
    const reply = await fleet.ask('/batch', post(items))
    expect(reply.json()).toEqual(Object.fromEntries(items.map((ip) => [ip, expect.objectContaining({ ip })])))
    expect(reply.headers['ipfleet-units']).toBe('5')
  }
})

test.each([400, 501])('where batches are answered with %i, the items are answered all the same', async (status) => {
  await using fleet = await startLocalFleet({ redis })
  fleet.fake.behave({ kind: 'status', status, body: { error: 'no' }, paths: ['/batch'] })
  const items = freshAddresses(5)
  const reply = await fleet.ask('/batch', post(items))
  expect(reply.json()).toEqual(Object.fromEntries(items.map((ip) => [ip, expect.objectContaining({ ip })])))
})

test('a batch for which no key alone has enough left is paid for by several', async () => {
  const keys = {
    'test-key-1': { monthlyQuota: 20 },
    'test-key-2': { monthlyQuota: 40 },
    'test-key-3': { monthlyQuota: 60 },
  }
  await using fleet = await startLocalFleet({ redis, fake: { keys, rateLimitHeaders: true } })
  for (const ip of freshAddresses(6)) expect((await fleet.ask(`/${ip}`)).status).toBe(200)
  fleet.fake.clearCalls()
  const items = freshAddresses(114)
  const reply = await fleet.ask('/batch', post(items))
  expect(reply.json()).toEqual(Object.fromEntries(items.map((ip) => [ip, expect.objectContaining({ ip })])))
  expect(fleet.fake.calls.flatMap((call) => [...(call.items ?? [])]).length).toBeLessThanOrEqual(120)
})

test('what a batch would have cost that is refused as a whole is not missing in the end', async () => {
  await using fleet = await startLocalFleet({
    redis,
    fake: { keys: { 'test-key-1': { monthlyQuota: 60 } }, rateLimitHeaders: true },
    keys: ['test-key-1'],
  })
  expect((await fleet.ask(`/${freshAddresses(1)[0]}`)).status).toBe(200)
  fleet.fake.behave({ kind: 'status', status: 400, body: { error: 'no' }, paths: ['/batch'], times: 1 })
  const items = freshAddresses(50)
  const reply = await fleet.ask('/batch', post(items))
  expect(reply.json()).toEqual(Object.fromEntries(items.map((ip) => [ip, expect.objectContaining({ ip })])))
})

describe('when every key is over its limit', () => {
  let fleet: LocalFleet
  const [first = '', second = '', ...rest] = freshAddresses(5)
  beforeAll(async () => {
    fleet = await startLocalFleet({ redis })
    await fleet.ask('/batch', post([first, second]))
    fleet.fake.behave({ kind: '429-storm', retryAfterSeconds: 30 })
  })
  afterAll(() => fleet.stop())

  test('a batch that nothing is known of is a 503 with Retry-After, as a single query is', async () => {
    const reply = await fleet.ask('/batch', post([...rest, 'nonsense']))
    expect(reply.status).toBe(503)
    expect(Number(reply.headers['retry-after'])).toBeGreaterThan(25)
    expect(Number(reply.headers['retry-after'])).toBeLessThanOrEqual(30)
  })

  test('a batch of which something is known is answered, with the error in the place of what is not', async () => {
    const reply = await fleet.ask('/batch', post([first, ...rest, second]))
    expect(reply.status).toBe(200)
    const error = { status: 503, error: { title: 'All keys are cooling down', message: expect.any(String) } }
    expect(Object.entries(reply.json() as object)).toEqual([
      [first, expect.objectContaining({ ip: first })],
      ...rest.map((item) => [item, error]),
      [second, expect.objectContaining({ ip: second })],
    ])
  })
})

describe('upstream that makes no sense', () => {
  let fleet: LocalFleet
  beforeAll(async () => {
    fleet = await startLocalFleet({ redis })
  })
  afterAll(() => fleet.stop())
  afterEach(() => fleet.fake.heal())

  test('leaves items out: those fail, the others are answered and kept', async () => {
    const [there = '', missing = ''] = freshAddresses(2)
    const body = { [there]: { ip: there, city: 'Here' }, '203.0.113.9': { ip: 'nobody asked' } }
    fleet.fake.behave({ kind: 'status', status: 200, body, paths: ['/batch'], times: 1 })
    const reply = await fleet.ask('/batch', post([missing, there]))
    expect(reply.json()).toMatchObject({ [there]: { city: 'Here' }, [missing]: { status: 502 } })
    expect((await fleet.ask(`/${there}`)).text).toBe(JSON.stringify({ ip: there, city: 'Here' }, null, 2))
  })

  test.each([
    { what: 'a 500', behaviour: { kind: 'status', status: 500 } },
    { what: 'a list', behaviour: { kind: 'status', status: 200, body: [] } },
    { what: 'garbage', behaviour: { kind: 'garbage' } },
    { what: 'half an answer', behaviour: { kind: 'reset-mid-body' } },
  ] as const)('answers $what: a 502, and nothing is kept', async ({ behaviour }) => {
    const items = freshAddresses(3)
    fleet.fake.behave({ ...behaviour, paths: ['/batch'], times: 1 })
    expect((await fleet.ask('/batch', post(items))).status).toBe(502)
    // The failure is shared for a second, then asked anew.
    await until(async () => (await fleet.ask('/batch', post(items))).status === 200)
  })

  test('has no record for an item: neither has it a part of one, and the other items are answered', async () => {
    const [there = '', missing = ''] = freshAddresses(2)
    const body = { [there]: { ip: there, city: 'Here' }, [missing]: '' }
    fleet.fake.behave({ kind: 'status', status: 200, body, paths: ['/batch'], times: 1 })
    const reply = await fleet.ask('/batch', post([`${there}/city`, `${missing}/city`, missing, `${missing}/geo`]))
    expect([reply.status, reply.json()]).toEqual([
      200,
      { [`${there}/city`]: 'Here', [`${missing}/city`]: '', [missing]: '', [`${missing}/geo`]: '' },
    ])
  })

  test('errors of single items are kept like those of single queries', async () => {
    await fleet.ask('/batch', post(['AS0', 'AS15169']))
    fleet.fake.clearCalls()
    const single = await fleet.ask('/AS0')
    expect([single.status, single.text]).toEqual([404, JSON.stringify({ error: 'ASN Not Found!' }, null, 2)])
    expect(fleet.fake.calls).toEqual([])
  })
})

/** Longer than what landed is kept for those who come late: 2 s. */
const shortLived = {
  SHARED_CACHE_TTL_SECONDS: '3',
  CACHE_TTL_SECONDS: '3',
  STALE_IF_ERROR_SECONDS: '60',
  STALE_WHILE_REVALIDATE_SECONDS: '0',
}

/** Asks until all of them are in the caches: a load that outlives its lease, as on a machine that stands still, is not kept. */
const untilKept = (fleet: LocalFleet, items: readonly string[]): Promise<boolean> =>
  until(async () => /detail=l[12]/.test(cacheStatus(await fleet.ask('/batch', post(items)))))

test.each([
  { mode: 'closed', unknown: { status: 502 } },
  { mode: 'open', unknown: { country: 'US' } },
])('upstream dead, FAILURE_MODE $mode: stale items first, the others by the mode', async ({ mode, unknown }) => {
  await using fleet = await startLocalFleet({ redis, env: { ...shortLived, FAILURE_MODE: mode } })
  const [known = ''] = freshAddresses(1)
  await untilKept(fleet, [known])
  fleet.fake.behave({ kind: 'reset' })
  const reply = await until(async () => {
    const one = await fleet.ask('/batch', post([known, '8.8.8.8']))
    return !cacheStatus(one).includes('detail=l') && one
  })
  expect(reply.status).toBe(200)
  expect(reply.json()).toMatchObject({ [known]: { ip: known, timezone: expect.any(String) }, '8.8.8.8': unknown })
  expect(cacheStatus(reply)).toContain(`detail=${mode === 'open' ? 'offline' : 'stale'}`)
})

test('items past their freshness are answered at once, and refreshed in batches in the background, each once', async () => {
  await using fleet = await startLocalFleet({ redis, env: { ...shortLived, STALE_WHILE_REVALIDATE_SECONDS: '60' } })
  const items = freshAddresses(20)
  await untilKept(fleet, items)
  fleet.fake.clearCalls()
  const asked = (): string[] => fleet.fake.calls.flatMap((call) => [...(call.items ?? [])])
  const gate = fleet.fake.hold()
  const stale = await until(async () => {
    const reply = await fleet.ask('/batch', post(items))
    return cacheStatus(reply).includes('detail=stale') && reply
  })
  expect(Object.keys(stale.json() as object)).toEqual(items)
  await until(async () => asked().length === items.length)
  expect(asked().toSorted()).toEqual(items.toSorted())
  gate.release()
  await untilKept(fleet, items)
})
