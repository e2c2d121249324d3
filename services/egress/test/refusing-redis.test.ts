import { observeRedis, type RedisObserver } from '@ipfleet/testing/redis-observer.ts'
import { makeNobody, makeReadmeUser, refusedASecond, urlOf } from '@ipfleet/testing/redis-users.ts'
import type { LogLine } from '@ipfleet/testing/service-process.ts'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { until } from '@ipfleet/testing/until.ts'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { RecordingOrigin } from './recording-origin.ts'
import { type RunningEgress, startEgress } from './start-egress.ts'
import { askThrough, tunnelThrough } from './through.ts'

const pool = ['127.0.0.2', '127.0.0.3', '127.0.0.4'] as const
const blocked = '127.0.0.3'
let redis: TestRedis
let observer: RedisObserver
let origin: RecordingOrigin
/** Refuses one address. */
let site: RecordingOrigin

beforeAll(async () => {
  redis = await startTestRedis()
  observer = await observeRedis(redis.url)
  origin = await RecordingOrigin.start()
  site = await RecordingOrigin.start()
  site.answer = (req, res) => res.writeHead(req.socket.remoteAddress === blocked ? 403 : 200).end()
  await makeNobody(observer)
  await makeReadmeUser(observer, 'egress')
})

afterAll(async () => {
  await observer[Symbol.asyncDispose]()
  await Promise.all([origin[Symbol.asyncDispose](), site[Symbol.asyncDispose](), redis.stop()])
})

const start = (more: Readonly<Record<string, string>>): Promise<RunningEgress> =>
  startEgress({ IP_POOL: pool.join(), ALLOW_TARGETS: 'loopback', REDIS_URL: redis.url, ...more })

const whenUp = (egress: RunningEgress) =>
  until(async () => (await egress.metrics()).includes('ipfleet_egress_redis_up 1'))

/** Until one of the fleet's addresses is benched for the site. */
async function provoke({ port }: RunningEgress): Promise<void> {
  for (let turn = 0; turn < 15; turn += 1) await askThrough(port, site.url)
}

async function usedBy({ port }: RunningEgress): Promise<string[]> {
  const replies = []
  for (let turn = 0; turn < 9; turn += 1) replies.push(await askThrough(port, site.url))
  return [...new Set(replies.map(({ headers }) => String(headers['x-egress-ip'])))].toSorted()
}

const isOfRedis = ({ msg }: LogLine): boolean => String(msg).startsWith('redis is away')
const isBenched = ({ msg }: LogLine): boolean => msg === 'source address is refused by a site'

test.each([
  ['the password', () => urlOf('nobody', redis.url, 'canary'), /refuses the user or the password/],
  ['every command', () => urlOf('nobody', redis.url), /may not do/],
])('a Redis that refuses %s is told once and not pestered; requests and SIGTERM work', async (_what, url, reason) => {
  const egress = await start({ REDIS_URL: url() })
  const line = await egress.waitForLine(isOfRedis)
  expect(line['reason']).toMatch(reason)
  expect(await refusedASecond(observer)).toBeLessThan(100)
  expect((await askThrough(egress.port, origin.url)).status).toBe(200)
  expect(await egress.stop()).toEqual({ code: 0, signal: null })
  expect(egress.lines().filter(isOfRedis)).toHaveLength(1)
  expect(egress.output()).not.toContain('canary')
})

test.each(['round-robin', 'least-recently-used'])(
  'the user of the README may do all that two proxies by %s do',
  async (ROTATION) => {
    await observer.call('ACL', 'LOG', 'RESET')
    const refused = '127.0.0.4'
    await using checked = await RecordingOrigin.start()
    let isRefused = true
    checked.answer = (req, res) => res.writeHead(isRefused && req.socket.remoteAddress === refused ? 503 : 204).end()
    const url = urlOf('egress', redis.url)
    const checks = { HEALTH_CHECK_URL: checked.url, HEALTH_CHECK_INTERVAL_SECONDS: '0.1' }
    const more = { REDIS_URL: url, ROTATION, RATE_LIMIT_BURST: '1000', ...checks }
    const fleet = await Promise.all([start(more), start(more)])
    for (const egress of fleet) await whenUp(egress)
    for (const egress of fleet) await egress.waitForLine(({ msg }) => msg === 'source address is out')
    isRefused = false
    for (const egress of fleet) await egress.waitForLine(({ msg }) => msg === 'source address is back')
    await provoke(fleet[0])
    expect((await tunnelThrough(fleet[1].port, origin.authority)).status).toBe(200)
    for (const egress of fleet) expect((await egress.stop()).code).toBe(0)
    expect(await observer.call('ACL', 'LOG')).toEqual([])
  },
)

test('fleets of other names, or in other databases, share no bench of an address', async () => {
  await observer.call('FLUSHALL')
  const own = await start({})
  const others = [await start({ REDIS_PREFIX: 'blue' }), await start({ REDIS_URL: `${redis.url}/1` })]
  try {
    for (const egress of [own, ...others]) await whenUp(egress)
    await provoke(own)
    await own.waitForLine(isBenched)
    const late = await start({})
    // One that has the same name learns of it, which shows that the message is out.
    await late.waitForLine(isBenched)
    expect(await usedBy(late)).toEqual(pool.filter((address) => address !== blocked))
    await late.stop()
    for (const egress of others) {
      expect(egress.lines().filter(isBenched)).toEqual([])
      expect(await usedBy(egress)).toEqual([...pool])
    }
  } finally {
    await Promise.all([own, ...others].map((egress) => egress.stop()))
  }
})
