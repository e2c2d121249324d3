import { until } from '@ipfleet/testing/until.ts'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { cacheStatus, type LocalFleet, mostCalls, type Reply, startLocalFleet } from './local-fleet.ts'
import { observeRedis } from '@ipfleet/testing/redis-observer.ts'

/** Four replicas on one Redis, 200 requests at once for one cold address. */
const replicas = 4
const many = 200
/** What no cache keeps is asked again by a client that was not waiting for the answer. */
const untilAllAskMs = 2000

let redis: TestRedis
beforeAll(async () => {
  redis = await startTestRedis()
})
afterAll(() => redis.stop())

describe('one query, asked 200 times at once of four replicas', () => {
  let fleet: LocalFleet
  beforeAll(async () => {
    fleet = await startLocalFleet({ redis, replicas, env: { REQUEST_TIMEOUT_MS: '25000' } })
  })
  afterAll(() => fleet.stop())

  test('is one upstream call, and everyone gets its answer', async () => {
    const replies = await fleet.askAll(many, () => '/9.9.9.1')
    expect(fleet.fake.callsTo('/9.9.9.1').length).toBeLessThanOrEqual(await mostCalls(fleet, 1))
    expect(new Set(replies.map(({ text }) => text))).toEqual(new Set([replies[0]?.text]))
    expect(statuses(replies)).toEqual({ 200: many })
    expect(replies[0]?.json()).toMatchObject({ ip: '9.9.9.1' })
  })

  test('is one call also when upstream takes twice as long as a lease lives', async () => {
    fleet.fake.behave({ kind: 'latency', ms: 3000, paths: ['/9.9.9.2'] })
    const replies = await fleet.askAll(many, () => '/9.9.9.2')
    expect(fleet.fake.callsTo('/9.9.9.2').length).toBeLessThanOrEqual(await mostCalls(fleet, 1))
    expect(statuses(replies)).toEqual({ 200: many })
  })

  test('is one call also when the answer is a failure, which is shared by all', async () => {
    const failures = [
      { path: '/9.9.9.3', upstream: 500, status: 502 },
      { path: '/9.9.9.4', upstream: 404, status: 404 },
    ]
    const calls = failures.map(async ({ path, upstream, status }) => {
      fleet.fake.behave({ kind: 'latency', ms: untilAllAskMs, paths: [path] })
      fleet.fake.behave({ kind: 'status', status: upstream, body: { error: 'no' }, paths: [path] })
      const replies = await fleet.askAll(many, () => path)
      expect(statuses(replies)).toEqual({ [status]: many })
      expect(new Set(replies.map((reply) => / fwd=miss;.* collapsed/.test(cacheStatus(reply))))).toEqual(
        new Set([true, false]),
      )
      return fleet.fake.callsTo(path).length
    })
    const most = await Promise.all(calls)
    expect(Math.max(...most)).toBeLessThanOrEqual(await mostCalls(fleet, 1))
  })

  test('says who asked and who waited', async () => {
    const gate = fleet.fake.hold({ paths: ['/9.9.9.5'] })
    const leading = fleet.fake.nextCall()
    const first = fleet.ask('/9.9.9.5', { replica: 0 })
    await leading
    const others = [0, 1].map((replica) => fleet.ask('/9.9.9.5', { replica }))
    await someoneWaits(fleet, '/9.9.9.5', 1)
    gate.release()
    expect(cacheStatus(await first)).toBe('ipfleet; fwd=miss; fwd-status=200; stored')
    for (const other of await Promise.all(others)) {
      expect(cacheStatus(other)).toBe('ipfleet; fwd=miss; fwd-status=200; stored; collapsed')
    }
  })

  test('a body over CACHE_MAX_BODY_BYTES is shared by those who wait, and not kept', async () => {
    const paths = ['/9.9.9.6']
    const record = { ip: '9.9.9.6' }
    const bytes = 40_000
    fleet.fake.behave({ kind: 'huge', bytes, record, paths })
    fleet.fake.behave({ kind: 'latency', ms: untilAllAskMs, paths })
    const replies = await fleet.askAll(40, () => '/9.9.9.6')
    const calls = fleet.fake.callsTo('/9.9.9.6').length
    expect(calls).toBeLessThanOrEqual(await mostCalls(fleet, 1))
    expect(new Set(replies.map(({ body }) => body.length))).toEqual(new Set([bytes]))
    expect(cacheStatus(await fleet.ask('/9.9.9.6'))).toBe('ipfleet; fwd=miss; fwd-status=200')
    expect(fleet.fake.callsTo('/9.9.9.6')).toHaveLength(calls + 1)
  })

  test('a body over a megabyte is asked for once by each replica, and not kept', async () => {
    const paths = ['/9.9.9.7']
    const record = { ip: '9.9.9.7' }
    const bytes = 1_200_000
    fleet.fake.behave({ kind: 'huge', bytes, record, paths })
    fleet.fake.behave({ kind: 'latency', ms: untilAllAskMs, paths })
    const replies = await fleet.askAll(12, () => '/9.9.9.7')
    const calls = fleet.fake.callsTo('/9.9.9.7').length
    expect(calls).toBeLessThanOrEqual(replicas)
    expect(statuses(replies)).toEqual({ 200: 12 })
    expect(new Set(replies.map(({ body }) => body.length))).toEqual(new Set([bytes]))
    await fleet.ask('/9.9.9.7')
    expect(fleet.fake.callsTo('/9.9.9.7')).toHaveLength(calls + 1)
  })
})

describe('the replica that asks for all', () => {
  test('dies: another takes over, when its lease has run out and with one more call', async () => {
    await using fleet = await startLocalFleet({ redis, replicas, env: { REQUEST_TIMEOUT_MS: '25000' } })
    const [leader] = fleet.replicas
    // The first call is never answered, so that the leader dies in the middle of it.
    fleet.fake.hold({ times: 1 })
    const leading = fleet.fake.nextCall()
    const lost = orLost(fleet.ask('/9.9.9.8', { replica: 0 }))
    await leading
    const waiting = Array.from({ length: many }, (_, index) => {
      const replica = index % replicas
      return { replica, reply: orLost(fleet.ask('/9.9.9.8', { replica })) }
    })
    await someoneWaits(fleet, '/9.9.9.8', replicas - 1)
    const killedMs = performance.now()
    leader?.kill('SIGKILL')
    const survivors = waiting.filter(({ replica }) => replica !== 0)
    const replies = await Promise.all(survivors.map(({ reply }) => reply))
    const elapsedMs = performance.now() - killedMs
    expect(statuses(replies)).toEqual({ 200: (many / replicas) * (replicas - 1) })
    expect(elapsedMs).toBeLessThan(20_000)
    expect(fleet.fake.callsTo('/9.9.9.8').length).toBeLessThanOrEqual(1 + (await mostCalls(fleet, 1)))
    // Those who asked the dead replica have lost their connection: they know, and can ask another.
    expect(await lost).toEqual({ status: 0 })
    await Promise.all(waiting.map(({ reply }) => reply))
  })

  test('is paused past its lease: one more call, and what it brings late overwrites nothing newer', async () => {
    await using fleet = await startLocalFleet({ redis, replicas: 2 })
    await using observer = await observeRedis(redis.url)
    const [leader] = fleet.replicas
    const paths = ['/9.9.9.9']
    const [older, newer] = ['older', 'newer'].map((city) => ({ ip: '9.9.9.9', city }))
    fleet.fake.behave({ kind: 'status', status: 200, body: newer, paths })
    fleet.fake.behave({ kind: 'status', status: 200, body: older, paths, times: 1 })
    const gate = fleet.fake.hold({ paths, times: 1 })
    const leading = fleet.fake.nextCall()
    const late = fleet.ask('/9.9.9.9', { replica: 0 })
    await leading
    leader?.kill('SIGSTOP')
    expect((await fleet.ask('/9.9.9.9', { replica: 1 })).json()).toEqual(newer)
    gate.release()
    leader?.kill('SIGCONT')
    // Its own client gets what was asked for it; no other does.
    expect((await late).json()).toEqual(older)
    expect(fleet.fake.callsTo('/9.9.9.9')).toHaveLength(2)
    expect(await observer.dump()).not.toContain('older')
    await until(async () => cacheStatus(await fleet.ask('/9.9.9.9', { replica: 1 })).includes('detail=l'))
    await fleet.join()
    const elsewhere = await fleet.ask('/9.9.9.9', { replica: 2 })
    expect([cacheStatus(elsewhere), elsewhere.json()]).toEqual([expect.stringContaining('detail=l2'), newer])
  })
})

/** A reply, or status 0 for a connection that broke. */
function orLost(reply: Promise<Reply>): Promise<{ readonly status: number }> {
  return reply.catch(() => ({ status: 0 }))
}

function statuses(replies: readonly { readonly status: number }[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { status } of replies) counts[status] = (counts[status] ?? 0) + 1
  return counts
}

/** Resolves when `count` replicas listen for the landing of a query that another one is asking. */
async function someoneWaits(fleet: LocalFleet, query: string, count: number): Promise<void> {
  await using observer = await observeRedis(fleet.redis.url)
  await until(async () => {
    const channels = (await observer.call('PUBSUB', 'CHANNELS', `ipfleet:0:landed:*${query}`)) as string[]
    const [, listeners = 0] = (await observer.call('PUBSUB', 'NUMSUB', ...channels)) as [string?, number?]
    return listeners >= count
  })
}
