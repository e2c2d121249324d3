import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { until } from '@ipfleet/testing/until.ts'
import { type LocalFleet, patientWithRedis, startLocalFleet } from './local-fleet.ts'

/** Keys of two plans in one pool (issue 12): full records are the richest there are, and what all have is asked of all. */
let redis: TestRedis
beforeAll(async () => {
  redis = await startTestRedis()
})
afterAll(() => redis.stop())

let address = 0
const fresh = (): string => `9.${(address >> 16) & 255}.${(address >> 8) & 255}.${address++ & 255}`

const keys = {
  'core-1': { plan: 'core' },
  'core-2': { plan: 'core' },
  'plus-1': { plan: 'plus' },
  'plus-2': { plan: 'plus' },
} as const

async function fleetOf(replicas: number, env: Readonly<Record<string, string>>): Promise<LocalFleet> {
  const fleet = await startLocalFleet({
    redis,
    replicas,
    keys: Object.keys(keys),
    fake: { keys },
    env: { ...patientWithRedis, ...env },
  })
  if (env['QUOTA_POLL_SECONDS'] !== '0') {
    await until(async () =>
      ((await fleet.ask('/keys')).json() as { keys: { limit?: number }[] }).keys.every(({ limit }) => limit),
    )
  }
  return fleet
}

async function inTurn<T>(count: number, atATime: number, one: (index: number) => Promise<T>): Promise<T[]> {
  const all: T[] = []
  for (let at = 0; at < count; at += atATime) {
    all.push(
      ...(await Promise.all(Array.from({ length: Math.min(atATime, count - at) }, (_, index) => one(at + index)))),
    )
  }
  return all
}

describe('over four replicas', () => {
  let fleet: LocalFleet
  beforeAll(async () => {
    fleet = await fleetOf(4, { QUOTA_POLL_SECONDS: '300' })
  })
  afterAll(() => fleet.stop())

  test.each([
    ['/', 'privacy', '/city', 1000],
    ['/lookup/', 'anonymous', '/geo/city', 400],
  ])(
    '%s: each full record is the richest, also beside as many fields, which are spread over all keys',
    async (prefix, richMember, part, count) => {
      await fleet.askAll(4, () => `${prefix}${fresh()}`)
      fleet.fake.clearCalls()
      const replies = await inTurn(2 * count, 40, (index) =>
        fleet.ask(`${prefix}${fresh()}${index % 2 === 0 ? '' : part}`, { replica: (index >> 1) % 4 }),
      )
      expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]))
      const full = replies.filter((_, index) => index % 2 === 0)
      expect(full).toHaveLength(count)
      expect(full.filter((reply) => !Object.hasOwn(reply.json() as object, richMember))).toEqual([])
      const calls = fleet.fake.countByToken()
      const tokens = ['core-1', 'core-2', 'plus-1', 'plus-2']
      expect(tokens.reduce((sum, token) => sum + (calls[token] ?? 0), 0)).toBe(2 * count)
      // A quarter of the fields each, and the richer keys half of the records.
      for (const token of tokens) {
        const wanted = token.startsWith('plus') ? count * 0.75 : count * 0.25
        expect(Math.abs((calls[token] ?? 0) - wanted)).toBeLessThanOrEqual(wanted / 10)
      }
    },
  )
})

test('without a word of /me the plans are learnt from answers; a partial record never stands for a full one', async () => {
  await using fleet = await fleetOf(2, { QUOTA_POLL_SECONDS: '0' })
  // Until each key has been seen once.
  for (let request = 0; request < 8; request += 1) await fleet.ask(`/${fresh()}`, { replica: request % 2 })
  const replies = await fleet.askAll(40, () => `/${fresh()}`)
  expect(replies.filter((reply) => !reply.text.includes('"privacy"'))).toEqual([])
  for (let request = 0; request < 8; request += 1) {
    const ip = fresh()
    expect((await fleet.ask(`/${ip}/city`, { replica: request % 2 })).status).toBe(200)
    expect((await fleet.ask(`/${ip}`, { replica: (request + 1) % 2 })).json()).toHaveProperty('privacy')
  }
})

test('while the richest rest, what they have said before stands, and only new addresses get the poorer record', async () => {
  await using fleet = await fleetOf(2, {
    QUOTA_POLL_SECONDS: '300',
    SHARED_CACHE_TTL_SECONDS: '1',
    CACHE_TTL_SECONDS: '1',
  })
  const known = fresh()
  expect((await fleet.ask(`/${known}`)).json()).toHaveProperty('privacy')
  fleet.fake.behave({ kind: '429-storm', tokens: ['plus-1', 'plus-2'], retryAfterSeconds: 60 })
  for (let request = 0; request < 3; request += 1) expect((await fleet.ask(`/${fresh()}`)).status).toBe(200)
  expect((await fleet.ask(`/${fresh()}`)).json()).not.toHaveProperty('privacy')
  await until(async () => (await fleet.ask(`/${known}`)).headers['cache-status']?.includes('stale'))
  for (const replica of [0, 1]) expect((await fleet.ask(`/${known}`, { replica })).json()).toHaveProperty('privacy')
})

test('PLAN_PREFERENCE=spread asks all keys in turn for everything', async () => {
  await using fleet = await fleetOf(2, { QUOTA_POLL_SECONDS: '0', PLAN_PREFERENCE: 'spread' })
  await fleet.askAll(40, () => `/${fresh()}`)
  expect(Object.values(fleet.fake.countByToken())).toEqual([10, 10, 10, 10])
})
