import { until } from '@ipfleet/testing/until.ts'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { type AskOptions, cacheStatus, type LocalFleet, type Reply, startLocalFleet } from './local-fleet.ts'

/** What batches leave of the keys to look-ups with a waiting client, and what they say of their items. */
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

const post = (items: readonly string[], reserve?: string, options: AskOptions = {}): AskOptions => ({
  method: 'POST',
  body: JSON.stringify(items),
  ...(reserve !== undefined && { headers: { 'Ipfleet-Live-Reserve': reserve } }),
  ...options,
})
/** `Ipfleet-Items`, as a record. */
const itemsOf = ({ headers }: Reply): Record<string, number> =>
  Object.fromEntries(
    String(headers['ipfleet-items'])
      .split(', ')
      .map((member) => member.split('='))
      .map(([name = '', count]) => [name, Number(count)]),
  )

const hundredEach = { 'test-key-1': { monthlyQuota: 100 }, 'test-key-2': { monthlyQuota: 100 } }

/** Two replicas that share two keys of 100 queries each, and know it. */
async function countedFleet(env: Record<string, string> = {}): Promise<LocalFleet> {
  const fleet = await startLocalFleet({
    redis,
    replicas: 2,
    keys: Object.keys(hundredEach),
    fake: { keys: hundredEach },
    env: { QUOTA_POLL_SECONDS: '300', ...env },
  })
  await until(async () => {
    const { keys } = (await fleet.ask('/keys')).json() as { keys: { remaining?: number }[] }
    return keys.every(({ remaining }) => remaining !== undefined)
  })
  return fleet
}

const asked = ({ fake }: LocalFleet): number =>
  fake.calls.filter(({ path }) => path !== '/me').reduce((sum, { items }) => sum + (items?.length ?? 1), 0)

describe('a batch that no client waits for', () => {
  test('stays out of the replica’s memory, where another one is kept', async () => {
    await using fleet = await startLocalFleet({ redis })
    // A load that outlives its lease, as on a machine that stands still, is not kept.
    await until(async () => {
      const [background = '', live = ''] = freshAddresses(2)
      await fleet.ask('/batch', post([background], '0'))
      await fleet.ask('/batch', post([live]))
      const [first, second] = [await fleet.ask(`/${background}`), await fleet.ask(`/${live}`)].map(cacheStatus)
      expect(first).not.toContain('detail=l1')
      return first?.includes('detail=l2') && second?.includes('detail=l1')
    })
  })

  test('is kept in memory where there is nothing else to keep it in', async () => {
    await using fleet = await startLocalFleet({ redis, env: { REDIS_URL: '' } })
    const [background = ''] = freshAddresses(1)
    await fleet.ask('/batch', post([background], '0'))
    expect(cacheStatus(await fleet.ask(`/${background}`))).toContain('detail=l1')
  })

  test('is told how many look-ups have a waiting client', async () => {
    await using fleet = await startLocalFleet({ redis })
    const rate = async (): Promise<number> => {
      const { headers } = await fleet.ask('/batch', post(freshAddresses(1), '0'))
      return Number(headers['ipfleet-live-rate'])
    }
    expect(await rate()).toBe(0)
    await until(async () => {
      await fleet.ask('/9.9.9.9')
      return (await rate()) > 1
    })
    await until(async () => (await rate()) === 0)
    expect((await fleet.ask('/batch', post(freshAddresses(1)))).headers['ipfleet-live-rate']).toBeUndefined()
  })
})

describe('Ipfleet-Live-Reserve', () => {
  test('batches of all replicas stop at the reserve with a 503; single look-ups and other batches go on', async () => {
    await using fleet = await countedFleet()
    const parts = Array.from({ length: 16 }, () => freshAddresses(10))
    for (const [at, part] of parts.entries()) {
      const reply = await fleet.ask('/batch', post(part, '20', { replica: at % 2 }))
      expect([reply.status, reply.headers['ipfleet-units']]).toEqual([200, '10'])
    }
    expect(asked(fleet)).toBe(160)
    for (const replica of [0, 1]) {
      const items = freshAddresses(5)
      const refused = await fleet.ask('/batch', post(items, '20', { replica }))
      expect(refused.status).toBe(503)
      expect(refused.json()).toMatchObject({ error: { title: 'All keys are cooling down' } })
      expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0)
      expect([refused.headers['ipfleet-items'], refused.headers['ipfleet-units']]).toEqual(['error=5', '0'])
      expect(asked(fleet)).toBe(160 + 2 * replica)
      // Not even those queries that the batch was refused a moment ago.
      expect(cacheStatus(await fleet.ask(`/${items[0]}`, { replica }))).toContain('fwd=miss')
      expect(cacheStatus(await fleet.ask(`/${items[1]}`, { replica: 1 - replica }))).toContain('fwd=miss')
    }
    expect((await fleet.ask('/batch', post(freshAddresses(20)))).status).toBe(200)
    expect((await fleet.ask('/batch', post(freshAddresses(5), '5'))).status).toBe(200)
    expect(fleet.fake.calls.filter(({ status }) => status === 429)).toEqual([])
  })

  test('a batch for which there is not enough gets what there is, and says of the rest that keys are exhausted', async () => {
    await using fleet = await countedFleet()
    const items = freshAddresses(250)
    const reply = await fleet.ask('/batch', post(items, '50'))
    expect(reply.status).toBe(200)
    expect(itemsOf(reply)).toEqual({ upstream: asked(fleet), error: 250 - asked(fleet) })
    expect(Number(reply.headers['ipfleet-units'])).toBe(asked(fleet))
    expect(asked(fleet)).toBeLessThanOrEqual(100)
    expect(asked(fleet)).toBeGreaterThan(90)
    expect(fleet.fake.calls.filter(({ status }) => status === 429)).toEqual([])
  })

  test.each([0, 1])('a look-up that waits for such a batch, on replica %d, is not refused with it', async (replica) => {
    await using fleet = await countedFleet()
    expect((await fleet.ask('/batch', post(freshAddresses(80), '20'))).status).toBe(200)
    const items = freshAddresses(100)
    const gate = fleet.fake.hold({ paths: ['/batch'] })
    const batch = fleet.ask('/batch', post(items, '20'))
    await fleet.fake.nextCall(({ path }) => path === '/batch')
    const single = fleet.ask(`/${items.at(-1)}`, { replica })
    const other = fleet.ask('/batch', post(items.slice(-3), undefined, { replica }))
    gate.release()
    expect(itemsOf(await batch).error).toBeGreaterThan(0)
    expect([(await single).status, (await other).status]).toEqual([200, 200])
    expect(itemsOf(await other).error).toBeUndefined()
  })

  test('caches are read as ever when nothing but the reserve is left', async () => {
    await using fleet = await countedFleet()
    const known = freshAddresses(160)
    expect((await fleet.ask('/batch', post(known.slice(0, 80), '20'))).status).toBe(200)
    expect((await fleet.ask('/batch', post(known.slice(80), '20'))).status).toBe(200)
    const reply = await fleet.ask('/batch', post([...known, ...freshAddresses(2)], '20', { replica: 1 }))
    expect(reply.status).toBe(200)
    expect(itemsOf(reply)).toEqual({ l2: 160, error: 2 })
  })
})

describe('Ipfleet-Items and Ipfleet-Units', () => {
  let fleet: LocalFleet
  beforeAll(async () => {
    fleet = await startLocalFleet({ redis, replicas: 2 })
  })
  afterAll(() => fleet.stop())

  test('say where the items of a batch came from, and how many of them upstream was asked', async () => {
    const [held = '', shared = '', ...fresh] = freshAddresses(5)
    await fleet.ask('/batch', post([held]))
    await fleet.ask('/batch', post([shared], undefined, { replica: 1 }))
    const reply = await fleet.ask('/batch', post([...fresh, '10.0.0.1', shared, held, '1.1.1', '1.1.1.1/24', held]))
    expect(reply.headers['ipfleet-items']).toBe('l1=1, l2=1, upstream=3, local=1, refused=2')
    expect(reply.headers['ipfleet-units']).toBe('3')
    expect(reply.headers['access-control-expose-headers']).toBe('Ipfleet-Items, Ipfleet-Units')
  })

  test('what others were asking already is collapsed, and costs no units', async () => {
    const items = freshAddresses(3)
    const gate = fleet.fake.hold()
    const first = await underWay(items)
    // Each has an item of its own: when upstream is asked for that, the others are known to be under way.
    const second = await underWay([...items, ...freshAddresses(1)], { replica: 1 })
    const third = await underWay([items[0] ?? '', ...freshAddresses(1)])
    gate.release()
    expect(itemsOf(await first.reply)).toEqual({ upstream: 3 })
    expect(itemsOf(await second.reply)).toEqual({ collapsed: 3, upstream: 1 })
    expect(itemsOf(await third.reply)).toEqual({ collapsed: 1, upstream: 1 })
    // That of their own item.
    for (const { reply } of [second, third]) expect((await reply).headers['ipfleet-units']).toBe('1')
  })

  /** Sends a batch; resolves when upstream is asked for some of it. */
  async function underWay(items: readonly string[], options?: AskOptions): Promise<{ readonly reply: Promise<Reply> }> {
    const called = fleet.fake.nextCall()
    const reply = fleet.ask('/batch', post(items, undefined, options))
    await called
    return { reply }
  }

  test('are there when upstream failed, since it was asked', async () => {
    fleet.fake.behave({ kind: 'status', status: 500, paths: ['/batch'], times: 1 })
    const reply = await fleet.ask('/batch', post([...freshAddresses(4), '1.1.1']))
    expect(reply.status).toBe(502)
    expect([reply.headers['ipfleet-items'], reply.headers['ipfleet-units']]).toEqual(['refused=1, error=4', '4'])
  })

  test('are of batches alone', async () => {
    const reply = await fleet.ask(`/${freshAddresses(1)[0]}`)
    expect(Object.keys(reply.headers).filter((name) => name.startsWith('ipfleet-'))).toEqual([])
  })

  test.each(['100', '-1', '20%', '2.5', '', 'many'])(
    'a reserve of "%s" is a 400 that says what is allowed',
    async (reserve) => {
      fleet.fake.clearCalls()
      const reply = await fleet.ask('/batch', post(freshAddresses(1), reserve))
      expect(reply.status).toBe(400)
      expect(reply.text).toContain('Ipfleet-Live-Reserve is a whole number of percent, from 0 to 99')
      expect(fleet.fake.calls).toEqual([])
    },
  )

  test('a page may send Ipfleet-Live-Reserve', async () => {
    const reply = await fleet.ask('/batch', { method: 'OPTIONS' })
    expect(reply.headers['access-control-allow-headers']).toContain('Ipfleet-Live-Reserve')
  })
})
