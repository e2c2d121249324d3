import { until } from '@ipfleet/testing/until.ts'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import type { Behaviour } from '@ipfleet/testing/fake-ipinfo/faults.ts'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { cacheStatus, defaultKeys, healthOf, type LocalFleet, startLocalFleet } from './local-fleet.ts'
import { observeRedis } from '@ipfleet/testing/redis-observer.ts'

/** Whose turn it is, who is benched and for how long, and who is to blame. */
let redis: TestRedis
beforeAll(async () => {
  redis = await startTestRedis()
})
afterAll(() => redis.stop())

const byText = (a: string, b: string): number => (a < b ? -1 : 1)

let address = 0
/** A query that was not asked before. */
const fresh = (): string => `/9.${(address >> 16) & 255}.${(address >> 8) & 255}.${address++ & 255}`

describe('three replicas with three keys', () => {
  let fleet: LocalFleet
  beforeAll(async () => {
    fleet = await startLocalFleet({ redis, replicas: 3, env: { COOLDOWN_SECONDS: '10' } })
  })
  afterAll(() => fleet.stop())
  afterEach(() => fleet.fake.heal())

  test('use them evenly: of 1000 misses every key has its third, within 5 %', async () => {
    const misses = 1000
    for (let batch = 0; batch < misses / 40; batch += 1) {
      const replies = await fleet.askAll(40, fresh)
      expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]))
    }
    const counts = fleet.fake.countByToken()
    expect(Object.keys(counts).toSorted(byText)).toEqual([...defaultKeys])
    for (const count of Object.values(counts)) {
      expect(count).toBeGreaterThanOrEqual((misses / 3) * 0.95)
      expect(count).toBeLessThanOrEqual((misses / 3) * 1.05)
    }
  })

  test('leave a key that one of them met a 429 with alone until its bench ends; its client got the next key', async () => {
    const [limited] = defaultKeys
    fleet.fake.behave({ kind: '429-storm', tokens: [limited], times: 1 })
    // Turns go round, so at most three requests of one replica come across it.
    const met = fleet.fake.nextCall(({ token }) => token === limited)
    const replies = [await fleet.ask(fresh()), await fleet.ask(fresh()), await fleet.ask(fresh())]
    const { path, atMs } = await met
    expect(replies.map(({ status }) => status)).toEqual([200, 200, 200])
    expect(fleet.fake.callsTo(path).map(({ status }) => status)).toEqual([429, 200])

    fleet.fake.clearCalls()
    for (const replica of [0, 1, 2]) expect((await healthOf(fleet, replica)).keys).toMatchObject({ cooling: 1 })
    await fleet.askAll(18, fresh)
    const next = await until(async () => {
      expect((await fleet.ask(fresh())).status).toBe(200)
      return fleet.fake.calls.find(({ token }) => token === limited)
    })
    // By upstream's clock: the bench begins after the refused call came there.
    expect(next.atMs - atMs).toBeGreaterThan(9900)
    expect((await healthOf(fleet, 2)).keys).toEqual({ total: 3, active: 3, cooling: 0 })
  })

  test.each<{ what: string; behaviour: Behaviour; status: number }>([
    { what: 'a 500', behaviour: { kind: 'status', status: 500 }, status: 502 },
    { what: 'a 503', behaviour: { kind: 'status', status: 503 }, status: 502 },
    { what: 'a 400', behaviour: { kind: 'status', status: 400, body: { error: 'no' } }, status: 400 },
    { what: 'a 404', behaviour: { kind: 'status', status: 404, body: { error: 'no' } }, status: 404 },
    { what: 'a reset', behaviour: { kind: 'reset' }, status: 502 },
    { what: 'garbage', behaviour: { kind: 'garbage' }, status: 502 },
  ])('never bench a key for $what, nor try another', async ({ behaviour, status }) => {
    const path = fresh()
    fleet.fake.behave({ ...behaviour, paths: [path] })
    expect((await fleet.ask(path)).status).toBe(status)
    // A reset on a connection that was kept alive is tried once more, with the same key.
    expect(new Set(fleet.fake.callsTo(path).map(({ token }) => token)).size).toBe(1)
    expect((await healthOf(fleet)).keys).toEqual({ total: 3, active: 3, cooling: 0 })
  })
})

describe('all keys benched', () => {
  test('is 503 with the seconds to the earliest return, each key tried once and then no more', async () => {
    await using fleet = await startLocalFleet({ redis, replicas: 2 })
    const seconds: Record<string, number> = { 'test-key-1': 30, 'test-key-2': 7, 'test-key-3': 60 }
    for (const [token, retryAfterSeconds] of Object.entries(seconds)) {
      fleet.fake.behave({ kind: '429-storm', retryAfterSeconds, tokens: [token] })
    }
    const first = await fleet.ask('/9.9.9.9')
    expect(first.status).toBe(503)
    expect(first.headers['content-type']).toBe('application/json; charset=utf-8')
    expect(first.json()).toEqual({
      status: 503,
      error: { title: 'All keys are cooling down', message: expect.any(String) },
    })
    // On a machine that stood still meanwhile some seconds less, of 7.
    expect(['4', '5', '6', '7']).toContain(first.headers['retry-after'])
    expect(fleet.fake.calls.map(({ token = '' }) => token).toSorted(byText)).toEqual(Object.keys(seconds))

    const elsewhere = await fleet.ask('/1.2.3.4', { replica: 1 })
    expect(elsewhere.status).toBe(503)
    expect(Number(elsewhere.headers['retry-after'])).toBeGreaterThan(0)
    expect(Number(elsewhere.headers['retry-after'])).toBeLessThanOrEqual(7)
    expect(fleet.fake.calls).toHaveLength(3)
    expect(await healthOf(fleet, 1)).toMatchObject({ status: 'degraded', keys: { total: 3, active: 0, cooling: 3 } })
  })

  test('is the stale answer, marked, where there is one', async () => {
    const env = { SHARED_CACHE_TTL_SECONDS: '1', CACHE_TTL_SECONDS: '1' }
    await using fleet = await startLocalFleet({ redis, replicas: 2, env })
    const good = await until(async () => {
      const reply = await fleet.ask('/9.9.9.9')
      return cacheStatus(reply).includes('hit') && reply
    })
    fleet.fake.behave({ kind: '429-storm', retryAfterSeconds: 60 })
    for (const replica of [0, 1]) {
      const stale = await until(async () => {
        const reply = await fleet.ask('/9.9.9.9', { replica })
        return cacheStatus(reply).includes('stale') && reply
      })
      expect([stale.status, stale.text]).toEqual([200, good.text])
      expect(Number(stale.headers.age)).toBeGreaterThanOrEqual(1)
    }
    expect((await fleet.ask('/1.2.3.4')).status).toBe(503)
  })
})

describe('one request', () => {
  test('has one deadline over all the keys that it tries', async () => {
    const keys = ['test-key-1', 'test-key-2', 'test-key-3', 'test-key-4', 'test-key-5']
    await using fleet = await startLocalFleet({ redis, keys, env: { REQUEST_TIMEOUT_MS: '8000' } })
    await fleet.ask('/9.9.9.8')
    fleet.fake.behave({ kind: '429-storm' })
    fleet.fake.behave({ kind: 'latency', ms: 5000 })
    const startedMs = performance.now()
    const reply = await fleet.ask('/9.9.9.9')
    const elapsedMs = performance.now() - startedMs
    expect(reply.status).toBe(504)
    // Two, unless the machine stood still.
    const calls = fleet.fake.callsTo('/9.9.9.9').length
    expect([1, 2]).toContain(calls)
    // Every key with a deadline of its own would make twenty-five seconds of it.
    expect(elapsedMs).toBeGreaterThan(7900)
    expect(elapsedMs).toBeLessThan(20_000)
    // The last key did not answer in time, which is not its fault; what the first said came, unless it was the last.
    const { keys: counts } = await healthOf(fleet)
    const benched = calls === 2 ? [1] : [0, 1]
    expect(benched.map((cooling) => ({ total: 5, active: 5 - cooling, cooling }))).toContainEqual(counts)
  })
})

describe('a key whose bench has ended', () => {
  test('is tried by one request of the whole fleet; the others wait for how that ends', async () => {
    await using fleet = await startLocalFleet({
      redis,
      replicas: 2,
      keys: ['test-key-1'],
      env: { COOLDOWN_SECONDS: '1' },
    })
    await using observer = await observeRedis(redis.url)
    fleet.fake.behave({ kind: '429-storm', times: 1 })
    expect((await fleet.ask(fresh())).status).toBe(503)
    await until(async () => (await healthOf(fleet)).keys.cooling === 0)
    fleet.fake.clearCalls()
    const gate = fleet.fake.hold()
    observer.clear()
    const replies = fleet.askAll(9, fresh)
    // Eight wait, for two seconds at most, and ask for the key again.
    await observer.waitFor(10, ({ args, inner }) => !inner && args.includes('ipfleet:keys:{pool}:cursor'))
    expect(gate.waiting).toBe(1)
    expect(fleet.fake.calls).toHaveLength(1)
    gate.release()
    expect((await replies).map(({ status }) => status)).toEqual(Array(9).fill(200))
    expect(fleet.fake.calls).toHaveLength(9)
  })

  test('is benched for twice as long when it is still over its limit, and no other request has met it', async () => {
    const cooldown = 10
    await using fleet = await startLocalFleet({
      redis,
      replicas: 2,
      keys: ['test-key-1'],
      env: { COOLDOWN_SECONDS: String(cooldown) },
    })
    fleet.fake.behave({ kind: '429-storm' })
    const first = Number((await fleet.ask(fresh())).headers['retry-after'])
    expect(first).toBeGreaterThan(0)
    expect(first).toBeLessThanOrEqual(cooldown)
    await until(async () => (await healthOf(fleet)).keys.cooling === 0)
    fleet.fake.clearCalls()
    const replies = await fleet.askAll(8, fresh)
    expect(replies.map(({ status }) => status)).toEqual(Array(8).fill(503))
    // Twenty seconds, less what the machine stood still.
    for (const { headers } of replies) {
      expect(Number(headers['retry-after'])).toBeGreaterThan(cooldown)
      expect(Number(headers['retry-after'])).toBeLessThanOrEqual(2 * cooldown)
    }
    expect(fleet.fake.calls).toHaveLength(1)
  })
})

describe('a refused key', () => {
  test('that upstream does not know is quarantined for the fleet; the client got the next key', async () => {
    const fake = { keys: { 'test-key-1': {}, 'test-key-2': {} } }
    await using fleet = await startLocalFleet({
      redis,
      replicas: 2,
      fake,
      env: { COOLDOWN_SECONDS: '1' },
    })
    for (let round = 0; round < 3; round += 1) {
      const replies = await fleet.askAll(6, fresh)
      expect(replies.map(({ status }) => status)).toEqual(Array(6).fill(200))
      if (round === 0) await until(async () => (await healthOf(fleet, 1)).keys.cooling === 1)
    }
    // Several requests may have been under way with it; none has used it since.
    const known = fleet.fake.countByToken()['test-key-3'] ?? 0
    await fleet.askAll(12, fresh)
    expect(fleet.fake.countByToken()['test-key-3']).toBe(known)
    const told = () => fleet.replicas.flatMap((replica) => replica.lines().filter(({ msg }) => msg === 'key benched'))
    await until(() => told().length > 0)
    for (const line of told()) expect(line).toMatchObject({ reason: 'denied', seconds: 600 })
  })

  test('is not to blame when upstream knows none of them: 503, no bench, and good again at once', async () => {
    await using fleet = await startLocalFleet({ redis, replicas: 2 })
    fleet.fake.behave({ kind: '403-storm' })
    const reply = await fleet.ask('/9.9.9.9')
    expect([reply.status, reply.json()]).toEqual([503, expect.objectContaining({ status: 503 })])
    expect((reply.json() as { error: { title: string } }).error.title).toBe('Upstream paused')
    expect(Number(reply.headers['retry-after'])).toBeGreaterThan(0)
    expect((await healthOf(fleet, 1)).keys).toEqual({ total: 3, active: 3, cooling: 0 })
    fleet.fake.heal()
    expect((await fleet.ask('/9.9.9.8', { replica: 1 })).status).toBe(200)
  })

  test('is not to blame for a query that no key may ask: the 401 is passed on, and none is benched', async () => {
    const lacking = { lacks: ['privacy'] }
    const fake = { keys: { 'test-key-1': lacking, 'test-key-2': lacking, 'test-key-3': lacking } }
    await using fleet = await startLocalFleet({ redis, replicas: 2, fake })
    const reply = await fleet.ask('/9.9.9.9/privacy')
    expect([reply.status, reply.json()]).toEqual([401, {}])
    const tokens = fleet.fake.callsTo('/9.9.9.9/privacy').map(({ token }) => token)
    expect(new Set(tokens).size).toBe(tokens.length)
    expect((await healthOf(fleet)).keys).toEqual({ total: 3, active: 3, cooling: 0 })
    expect((await fleet.ask('/9.9.9.9', { replica: 1 })).status).toBe(200)
  })
})

test('a key is not benched for an upstream that does not answer in time', async () => {
  await using fleet = await startLocalFleet({ redis, env: { REQUEST_TIMEOUT_MS: '2000' } })
  fleet.fake.behave({ kind: 'hang' })
  expect((await fleet.ask('/9.9.9.9')).status).toBe(504)
  expect(fleet.fake.calls).toHaveLength(1)
  expect((await healthOf(fleet)).keys).toEqual({ total: 3, active: 3, cooling: 0 })
})
