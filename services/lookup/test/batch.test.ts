import { until } from '@ipfleet/testing/until.ts'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { FakeCall } from '@ipfleet/testing/fake-ipinfo/call-log.ts'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { type AskOptions, cacheStatus, httpClient, type LocalFleet, type Reply } from './local-fleet.ts'
import { startLocalFleet } from './local-fleet.ts'
import { observeRedis } from '@ipfleet/testing/redis-observer.ts'

let redis: TestRedis
beforeAll(async () => {
  redis = await startTestRedis()
})
afterAll(() => redis.stop())

let network = 0
/** So many addresses that were not asked for before. */
function freshAddresses(count: number): string[] {
  const from = network
  network += Math.ceil(count / 250)
  return Array.from(
    { length: count },
    (_, at) => `9.${(from + Math.floor(at / 250)) >> 8}.${(from + Math.floor(at / 250)) & 255}.${at % 250}`,
  )
}

const post = (items: readonly string[], options: AskOptions = {}): AskOptions => ({
  method: 'POST',
  body: JSON.stringify(items),
  ...options,
})
const isBatch = ({ path }: FakeCall): boolean => path.startsWith('/batch')
/** What upstream was asked in batches, sorted, duplicates included. */
const askedItems = (fleet: LocalFleet): string[] =>
  fleet.fake.calls
    .filter(isBatch)
    .flatMap(({ items = [] }) => [...items])
    .toSorted()
const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null
const keysOf = (reply: Reply): string[] => [...reply.text.matchAll(/^ {2}"([^"]*)":/gm)].map(([, key = '']) => key)
const recordsIn = (reply: Reply): Record<string, { ip?: string; error?: unknown }> =>
  reply.json() as Record<string, { ip?: string; error?: unknown }>

describe('a batch', () => {
  let fleet: LocalFleet
  beforeAll(async () => {
    fleet = await startLocalFleet({ redis, replicas: 2, env: { LOG_FORMAT: 'json' } })
  })
  afterAll(() => fleet.stop())
  beforeEach(() => fleet.fake.clearCalls())
  afterEach(() => fleet.fake.heal())

  test('of 1,000 items, 900 of them cached, is one upstream call with the other 100', async () => {
    const items = freshAddresses(1000)
    const cached = items.filter((_, at) => at % 10 !== 0)
    expect((await fleet.ask('/batch', post(cached, { replica: 1 }))).status).toBe(200)
    fleet.fake.clearCalls()

    const reply = await fleet.ask('/batch', post(items))
    expect(reply.status).toBe(200)
    expect(keysOf(reply)).toEqual(items)
    for (const [item, { ip }] of Object.entries(recordsIn(reply))) expect(ip).toBe(item)
    expect(fleet.fake.calls).toHaveLength(1)
    expect(askedItems(fleet)).toEqual(items.filter((_, at) => at % 10 === 0).toSorted())
  })

  test('is looked up in Redis in one step, and answered from there without upstream', async () => {
    await using observer = await observeRedis(redis.url)
    // A replica that stood still for the life of its lease shares nothing, and one that stood still for less may extend it
    // when it is dropped already: then others are asked.
    await until(async () => {
      const items = freshAddresses(300)
      const asked = () => observer.commands().filter(({ args }) => args.some((arg) => arg.includes(`${items[0]}`)))
      await fleet.ask('/batch', post(items, { replica: 1 }))
      // The client has its answer first; with its lease dropped, what was loaded is shared.
      const isShared = until(() => asked().some(({ name }) => name === 'del'), 5000)
      if (!(await isShared.catch(() => false))) return false
      const before = asked().length
      fleet.fake.clearCalls()
      const reply = await fleet.ask('/batch', post(items))
      expect(cacheStatus(reply)).toMatch(/^ipfleet; hit; ttl=\d+; detail=l2$/)
      await fleet.ask('/batch', post(items))
      expect(fleet.fake.calls).toEqual([])
      await observer.caughtUp()
      const since = asked().slice(before)
      return since.map(({ name }) => name).join() === 'mget'
    })
  })

  test('leaves each item as a record of its own, for single look-ups on every replica', async () => {
    const [address] = freshAddresses(1)
    const reply = await fleet.ask('/batch', post([`${address}`, 'AS15169']))
    const singles = [await fleet.ask(`/${address}`, { replica: 1 }), await fleet.ask('/AS15169', { replica: 1 })]
    expect(singles.map(cacheStatus)).toEqual(singles.map(() => expect.stringContaining('detail=l2')))
    expect(singles.map((single) => single.json())).toEqual(Object.values(recordsIn(reply)))
    // One for each product: a refusal of one must not touch the other.
    expect(fleet.fake.calls).toHaveLength(2)
  })

  test('answers an item that appears twice once, and asks for what is the same record once', async () => {
    const [address = ''] = freshAddresses(1)
    const items = [address, `${address}/city`, address, `/${address}/json`, `${address}/city`, `::ffff:${address}`]
    const reply = await fleet.ask('/batch', post(items))
    expect(keysOf(reply)).toEqual([...new Set(items)])
    expect(askedItems(fleet)).toEqual([address])
  })

  test('keeps the order of its items, whatever their names', async () => {
    const [address = ''] = freshAddresses(1)
    const items = ['zz', '10', address, '2', '__proto__', 'constructor', '10.0.0.1', 'toString']
    const reply = await fleet.ask('/batch', post(items))
    expect(keysOf(reply)).toEqual(items)
    expect(reply.json()).toMatchObject({ '2': { status: 404 }, '10.0.0.1': { bogon: true } })
  })

  test('with ?filter=1 leaves out what is empty, and nothing else', async () => {
    const items = ['10.0.0.1/city', '10.0.0.1', '1.1.1.1/carrier', 'not-an-ip', '8.8.8.8/city']
    for (const path of ['/batch?filter=1', '/batch&filter=1', '/batch?token=secret&filter=1&filter=0']) {
      expect(keysOf(await fleet.ask(path, post(items)))).toEqual(['10.0.0.1', 'not-an-ip', '8.8.8.8/city'])
    }
    expect(keysOf(await fleet.ask('/batch?filter=0', post(items)))).toEqual(items)
  })

  test('of nothing but reserved and malformed items asks no upstream', async () => {
    const items = [
      '10.0.0.1',
      '::1',
      'fe80::1%eth0',
      '1.1.1.1/24',
      '0177.0.0.1',
      '%00',
      '%ZZ',
      'lite/1.1',
      'me',
      'x'.repeat(3000),
    ]
    const reply = await fleet.ask('/batch', post(items))
    expect(reply.status).toBe(200)
    expect(keysOf(reply)).toEqual(items)
    const { 'fe80::1%eth0': zone, '%00': nul, me } = recordsIn(reply)
    expect([zone, nul, me]).toMatchObject([{ status: 404 }, { status: 400 }, { status: 404 }])
    expect(fleet.fake.calls).toEqual([])
  })

  test('with Cache-Control: no-cache goes past caches, and leaves them alone', async () => {
    const [address = ''] = freshAddresses(1)
    const headers = { 'Cache-Control': 'no-cache' }
    const items = [address, `${address}/city`]
    const replies = [
      await fleet.ask('/batch', post(items, { headers })),
      await fleet.ask('/batch', post(items, { headers })),
    ]
    expect(replies.map(cacheStatus)).toEqual(replies.map(() => 'ipfleet; fwd=bypass; fwd-status=200'))
    expect(askedItems(fleet)).toEqual([...items, ...items].toSorted())
    expect(cacheStatus(await fleet.ask(`/${address}`))).toContain('fwd=miss')
  })

  test('is told by one line with the ends of its items, and counted by them', async () => {
    const [address = ''] = freshAddresses(1)
    const items = [address, `${address}/city`, '10.0.0.1', 'lite/nonsense']
    await fleet.ask('/batch', post(items, { replica: 1 }))
    const line = await fleet.replicas[1]?.waitForLine(({ items: ends }) => isObject(ends) && 'refused' in ends)
    expect(line).toMatchObject({
      path: '/batch',
      status: 200,
      cache: 'upstream',
      items: { local: 1, upstream: 2, refused: 1 },
    })
    const metrics = await fleet.ask('/metrics', { replica: 1 })
    expect(metrics.text).toMatch(/^ipfleet_batch_items_total\{cache="refused",sender="client"\} [1-9]/m)
  })

  test.each(['/batch/nonsense', '/batch/lite/more'])('%s is no batch', async (path) => {
    expect((await fleet.ask(path, post(['8.8.8.8']))).status).toBe(404)
  })
})

describe('every form of an item is answered as upstream answers it in a batch of its own', () => {
  let fleet: LocalFleet
  beforeAll(async () => {
    fleet = await startLocalFleet({ redis })
  })
  afterAll(() => fleet.stop())

  const legacy = (
    '8.8.8.8 1.1.1.1/json 8.8.4.4/geo 8.8.8.8/city 8.8.8.8/hostname 9.9.9.9/postal 8.8.8.8/company 8.8.8.8/carrier ' +
    '8.8.8.8/abuse 8.8.8.8/privacy 8.8.8.8/asn 8.8.8.8/domains 8.8.8.8/resproxy 8.8.8.8/nonsense AS15169 as15169/json ' +
    'AS0 ranges/google.com ranges/nonsense domains/8.8.8.8 domains/8.8.8.8?limit=2&page=1 places/8.8.8.8 10.0.0.1 ' +
    '10.0.0.1/city 10.0.0.1/ip 2001:4860:4860::8888 2001:4860:4860:0000:0000:0000:0000:8888 ::1 1.1.1 nonsense 8.8.8.8/'
  ).split(' ')
  const products = (
    'lite/8.8.8.8 lite/8.8.8.8/country lite//8.8.8.8 lite/10.0.0.1 lite/nonsense lite/8.8.8.8/nonsense lookup/8.8.8.8 ' +
    'lookup/8.8.8.8/geo lookup/8.8.8.8/geo/city lookup/8.8.8.8/geo/latitude lookup/8.8.8.8/is_anycast plus/8.8.8.8 ' +
    'max/8.8.8.8/anonymous resproxy/8.8.8.8 resproxy/9.9.9.9 lookup/8.8.8.8/nonsense'
  ).split(' ')

  test.each([
    { path: '/batch', items: legacy },
    { path: '/batch', items: products },
    { path: '/batch/legacy', items: ['8.8.8.8', 'AS15169'] },
    { path: '/batch/lite', items: ['8.8.8.8', '8.8.8.8/country', '2001:4860:4860::8888', '10.0.0.1', 'nonsense'] },
  ])('$path $items', async ({ path, items }) => {
    const client = httpClient()
    const headers = { authorization: 'Bearer test-key-1', 'content-type': 'application/json' }
    const direct = await client.ask(fleet.fake.url, path, post(items, { headers }))
    client.close()
    const [miss, hit] = [await fleet.ask(path, post(items)), await fleet.ask(path, post(items))]
    for (const reply of [miss, hit]) {
      expect(reply.text).toBe(direct.text)
      expect(reply.headers['content-type']).toBe(direct.headers['content-type'])
      expect(reply.status).toBe(direct.status)
    }
  })

  test('and single queries are answered as if they had been asked alone', async () => {
    const client = httpClient()
    const headers = { authorization: 'Bearer test-key-1' }
    for (const item of [...legacy, ...products].filter((one) => !one.includes('//'))) {
      const direct = await client.ask(fleet.fake.url, fleet.fake.onItsHost(`/${item}`), { headers })
      const cached = await fleet.ask(`/${item}`)
      expect({ item, status: cached.status, text: cached.text }).toEqual({
        item,
        status: direct.status,
        text: direct.text,
      })
    }
    client.close()
  })
})
