import { until } from '@ipfleet/testing/until.ts'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { apiKey } from '@ipfleet/key-pool/api-key.ts'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { cacheStatus, type LocalFleet, mostCalls, startLocalFleet } from './local-fleet.ts'

/** Monthly quotas, over replicas. */
let redis: TestRedis
beforeAll(async () => {
  redis = await startTestRedis()
})
afterAll(() => redis.stop())

let address = 0
/** A query that was not asked before. */
const fresh = (): string => `/9.${(address >> 16) & 255}.${(address >> 8) & 255}.${address++ & 255}`

const polled = { QUOTA_POLL_SECONDS: '300' }
const secondsOfMonth = 31 * 86_400

interface Row {
  readonly id: string
  readonly state: string
  readonly reason?: string
  readonly seconds?: number
  readonly remaining?: number
  readonly used?: number
  readonly limit?: number
  readonly share: number
}

async function rows(fleet: LocalFleet, replica = 0): Promise<Row[]> {
  return ((await fleet.ask('/keys', { replica })).json() as { keys: Row[] }).keys
}

function quotasKnown(fleet: LocalFleet): Promise<unknown> {
  return until(async () => (await rows(fleet)).every(({ remaining }) => remaining !== undefined))
}

/** Asks `count` new queries, forty at a time. */
async function askFresh(fleet: LocalFleet, count: number): Promise<Map<number, number>> {
  const statuses = new Map<number, number>()
  for (let asked = 0; asked < count; asked += 40) {
    for (const { status } of await fleet.askAll(Math.min(40, count - asked), fresh)) {
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
    }
  }
  return statuses
}

const isQuery = ({ path }: { path: string }): boolean => path !== '/me'

const hundreds = {
  'test-key-1': { monthlyQuota: 100 },
  'test-key-2': { monthlyQuota: 200 },
  'test-key-3': { monthlyQuota: 300 },
}

describe('three keys with 100, 200 and 300 left', () => {
  test.each([
    ['told by /me alone', false],
    ['told by /me and every reply', true],
  ])(
    'answer 600 distinct queries over replicas, %s: no 429, and none is asked once it is empty',
    async (_, rateLimitHeaders) => {
      await using fleet = await startLocalFleet({
        redis,
        replicas: 3,
        fake: { keys: hundreds, rateLimitHeaders },
        env: polled,
      })
      await quotasKnown(fleet)
      // One replica has asked for all.
      expect(fleet.fake.callsTo('/me').length).toBeLessThanOrEqual(await mostCalls(fleet, 3))
      expect(await askFresh(fleet, 600)).toEqual(new Map([[200, 600]]))
      const refused = fleet.fake.calls.filter(({ status }) => status === 429)
      for (const key of Object.keys(hundreds)) {
        expect(refused.filter(({ token }) => token === key).length).toBeLessThanOrEqual(1)
      }
      expect(fleet.fake.calls.filter(isQuery).length).toBeLessThanOrEqual(603)

      const over = await fleet.ask(fresh())
      expect(over.status).toBe(503)
      expect(Number(over.headers['retry-after'])).toBeGreaterThan(0)
      expect(Number(over.headers['retry-after'])).toBeLessThanOrEqual(secondsOfMonth)
      for (const row of await rows(fleet, 2))
        expect(row).toMatchObject({ state: 'cooling', reason: 'exhausted', remaining: 0 })
      expect((await fleet.ask('/health')).json()).toMatchObject({ keys: { total: 3, active: 0, cooling: 3 } })
    },
  )

  test('are used in proportion', async () => {
    await using fleet = await startLocalFleet({ redis, replicas: 2, fake: { keys: hundreds }, env: polled })
    await quotasKnown(fleet)
    await askFresh(fleet, 60)
    const count = (token: string): number =>
      fleet.fake.calls.filter((call) => isQuery(call) && call.token === token).length
    expect(Object.keys(hundreds).map(count)).toEqual([10, 20, 30])
  })
})

describe('a key whose month is used up', () => {
  const keys = { 'test-key-1': { monthlyQuota: 5 }, 'test-key-2': {} }
  const ids = ['test-key-1', 'test-key-2'].map((key) => apiKey(key).id)

  test('and met a 429 is benched until the month turns, after one look at its account; the client got its answer', async () => {
    await using fleet = await startLocalFleet({
      redis,
      replicas: 2,
      fake: { keys },
      keys: Object.keys(keys),
      env: polled,
    })
    await quotasKnown(fleet)
    fleet.fake.clearCalls()
    // Another user of the key has used it up.
    for (let turn = 0; turn < 5; turn += 1) {
      await fetch(`${fleet.fake.url}/9.9.9.${turn}`, { headers: { authorization: 'Bearer test-key-1' } })
    }
    await fleet.ask(`/keys/${ids[0]}/release`, { method: 'POST' })
    expect(await askFresh(fleet, 20)).toEqual(new Map([[200, 20]]))
    const exhausted = await until(async () => (await rows(fleet, 1)).find(({ reason }) => reason === 'exhausted'))
    expect(exhausted).toMatchObject({ id: ids[0], state: 'cooling', used: 5, remaining: 0, limit: 5 })
    expect(exhausted.seconds).toBeLessThanOrEqual(secondsOfMonth)
    expect(fleet.fake.callsTo('/me').filter(({ token }) => token === 'test-key-1')).toHaveLength(1)
    const before = fleet.fake.calls.filter(({ token }) => token === 'test-key-1').length
    expect(await askFresh(fleet, 20)).toEqual(new Map([[200, 20]]))
    expect(fleet.fake.calls.filter(({ token }) => token === 'test-key-1')).toHaveLength(before)
  })

  test('is used again when its account has something left again', async () => {
    const env = { QUOTA_POLL_SECONDS: '1' }
    await using fleet = await startLocalFleet({
      redis,
      fake: { keys: { 'test-key-1': { monthlyQuota: 3 } } },
      keys: ['test-key-1'],
      env,
    })
    await quotasKnown(fleet)
    expect(await askFresh(fleet, 3)).toEqual(new Map([[200, 3]]))
    expect((await fleet.ask(fresh())).status).toBe(503)
    fleet.fake.resetQuota()
    await until(async () => (await fleet.ask(fresh())).status === 200)
  })

  test('still answers what costs nothing', async () => {
    await using fleet = await startLocalFleet({
      redis,
      fake: { keys: { 'test-key-1': { monthlyQuota: 0 } } },
      keys: ['test-key-1'],
      env: polled,
    })
    await quotasKnown(fleet)
    expect((await fleet.ask('/9.9.9.9')).status).toBe(503)
    expect(fleet.fake.calls.filter(isQuery)).toEqual([])
    expect((await fleet.ask('/lite/9.9.9.9')).status).toBe(200)
  })
})

describe('a refresh in the background', () => {
  const env = {
    ...polled,
    CACHE_TTL_SECONDS: '3',
    SHARED_CACHE_TTL_SECONDS: '3',
    STALE_WHILE_REVALIDATE_SECONDS: '600',
  }

  /** A fleet with one key, of whose quota 95 are spent, and an answer that will soon be due for a refresh. */
  async function spentFleet(monthlyQuota: number): Promise<LocalFleet> {
    const fake = { keys: { 'test-key-1': { monthlyQuota } } }
    const fleet = await startLocalFleet({ redis, fake, keys: ['test-key-1'], env })
    await quotasKnown(fleet)
    // A load that outlives its lease, as on a machine that stands still, is not kept.
    await until(async () => cacheStatus(await fleet.ask('/9.9.9.9')).includes('hit'))
    const left = 95 - fleet.fake.callsTo('/9.9.9.9').length
    expect(await askFresh(fleet, left)).toEqual(new Map([[200, left]]))
    return fleet
  }

  test('leaves a key the last of its quota; a query that a client waits for gets it', async () => {
    await using fleet = await spentFleet(100)
    const { length: calls } = fleet.fake.callsTo('/9.9.9.9')
    await until(async () => cacheStatus(await fleet.ask('/9.9.9.9')).includes('stale'))
    expect((await fleet.ask('/1.2.3.4')).status).toBe(200)
    expect(cacheStatus(await fleet.ask('/9.9.9.9'))).toContain('stale')
    expect(fleet.fake.callsTo('/9.9.9.9')).toHaveLength(calls)
  })

  test('uses a key that has more', async () => {
    await using fleet = await spentFleet(1000)
    // Perhaps a little early, since it is asked for so often.
    await until(async () => {
      await fleet.ask('/9.9.9.9')
      return fleet.fake.callsTo('/9.9.9.9').length > 1
    })
  })
})
