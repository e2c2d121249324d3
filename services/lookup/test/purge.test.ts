import { until } from '@ipfleet/testing/until.ts'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { cacheStatus, healthOf, type LocalFleet, startLocalFleet } from './local-fleet.ts'

let redis: TestRedis
beforeAll(async () => {
  redis = await startTestRedis()
})
afterAll(() => redis.stop())

interface StatsBody {
  readonly cache: { readonly size: number }
}

async function entriesOf(fleet: LocalFleet, replica: number): Promise<number> {
  return ((await fleet.ask('/stats', { replica })).json() as StatsBody).cache.size
}

/** As soon as the replica is connected to Redis. */
async function purge(fleet: LocalFleet, replica = 0): Promise<void> {
  await until(async () => (await fleet.ask('/cache', { method: 'DELETE', replica })).status === 204)
}

test('DELETE /cache on one replica empties the memory of all at once, and Redis', async () => {
  await using fleet = await startLocalFleet({ redis, replicas: 4 })
  const rounds: number[] = []
  for (let round = 0; round < 5; round += 1) {
    await until(async () => {
      await fleet.askAll(4, () => '/9.9.9.9')
      const entries = await Promise.all([0, 1, 2, 3].map((replica) => entriesOf(fleet, replica)))
      return entries.every((count) => count === 1)
    })
    await purge(fleet, round % 4)
    const purgedMs = performance.now()
    await Promise.all([0, 1, 2, 3].map((replica) => until(async () => (await entriesOf(fleet, replica)) === 0)))
    rounds.push(performance.now() - purgedMs)
  }
  // By message, and not when entries are next looked at. The fastest: a busy machine holds up others.
  expect(Math.min(...rounds)).toBeLessThan(1000)
  fleet.fake.clearCalls()
  expect(cacheStatus(await fleet.ask('/9.9.9.9', { replica: 3 }))).toContain('fwd=miss')
  expect(fleet.fake.calls).toHaveLength(1)
})

test('an answer that was on its way when the cache was emptied is not kept', async () => {
  await using fleet = await startLocalFleet({ redis, replicas: 2 })
  await fleet.ask('/9.9.9.8')
  const gate = fleet.fake.hold({ times: 1 })
  const asked = fleet.fake.nextCall()
  const early = fleet.ask('/9.9.9.9')
  await asked
  await purge(fleet, 1)
  await until(async () => (await entriesOf(fleet, 0)) === 0)
  // A client that asks now does not get what was asked for before.
  expect(cacheStatus(await fleet.ask('/9.9.9.9', { replica: 1 }))).toContain('fwd=miss')
  gate.release()
  expect((await early).status).toBe(200)
  expect(cacheStatus(await fleet.ask('/9.9.9.9'))).toContain('detail=l2')
  expect(fleet.fake.callsTo('/9.9.9.9')).toHaveLength(2)
})

const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` })

describe('who may empty the cache', () => {
  test('with ADMIN_TOKEN: who has it, wherever they are', async () => {
    await using fleet = await startLocalFleet({ redis, env: { ADMIN_TOKEN: 'the-admin-token' } })
    await until(async () => (await healthOf(fleet)).redis.state === 'up')
    const answers: [Record<string, string>, number][] = [
      [{}, 401],
      [bearer('wrong'), 401],
      [bearer(''), 401],
      [bearer('the-admin-token-and-more'), 401],
      [{ authorization: 'Basic dGhlLWFkbWluLXRva2VuOg==' }, 401],
      [{ authorization: 'the-admin-token' }, 401],
      [bearer('the-admin-token'), 204],
      [{ ...bearer('the-admin-token'), 'x-forwarded-for': '9.9.9.9' }, 204],
    ]
    for (const [headers, status] of answers) {
      await fleet.ask('/9.9.9.9')
      const reply = await fleet.ask('/cache', { method: 'DELETE', headers })
      const seen = [headers, reply.status, reply.headers['www-authenticate'], await entriesOf(fleet, 0)]
      expect(seen).toEqual(status === 401 ? [headers, 401, 'Bearer', 1] : [headers, 204, undefined, 0])
    }
    const refused = await fleet.ask('/cache', { method: 'DELETE' })
    expect(refused.json()).toMatchObject({ status: 401, error: { title: 'Unauthorized' } })
    expect((await fleet.ask('/cache?token=the-admin-token', { method: 'DELETE' })).status).toBe(401)
    await fleet.ask('/9.9.9.9')
    for (const path of ['/CACHE', '/Cache/', '/cache/', '//cache', '/%63ache', '/cache;a', '/./cache', '/cache%2f']) {
      const { status } = await fleet.ask(path, { method: 'DELETE' })
      expect([path, status >= 400, await entriesOf(fleet, 0)]).toEqual([path, true, 1])
    }
  })

  test('without it: who speaks from this machine, through no proxy and for no page of another site', async () => {
    await using fleet = await startLocalFleet({ redis })
    await purge(fleet)
    for (const name of ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'via', 'host', 'origin']) {
      const reply = await fleet.ask('/cache', { method: 'DELETE', headers: { [name]: 'evil.example' } })
      expect([name, reply.status]).toEqual([name, 403])
      expect(reply.json()).toMatchObject({ status: 403, error: { title: 'Forbidden' } })
    }
  })

  test('no other method empties anything', async () => {
    await using fleet = await startLocalFleet({ redis })
    await fleet.ask('/9.9.9.9')
    for (const method of ['HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH']) await fleet.ask('/cache', { method })
    expect(cacheStatus(await fleet.ask('/9.9.9.9'))).toContain('detail=l1')
  })
})
