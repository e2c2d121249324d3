import { Agent } from 'node:http'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { until } from '@ipfleet/testing/until.ts'
import { RecordingOrigin } from './recording-origin.ts'
import { type RunningEgress, startEgress } from './start-egress.ts'
import { askInTunnel, askThrough, type Reply, tunnelThrough, type TunnelReply } from './through.ts'

/** Which address connections leave from, over a fleet of two with a Redis. */

const pool = ['127.0.0.2', '127.0.0.3', '127.0.0.4', '127.0.0.5']
const user = 'user:secret'
const env = { IP_POOL: pool.join(), PROXY_USER: 'user', PROXY_PASS: 'secret' }

const opened: (() => unknown)[] = []
let redis: TestRedis
let origin: RecordingOrigin

beforeAll(async () => {
  redis = await startTestRedis()
  origin = await RecordingOrigin.start()
})
beforeEach(() => origin.forget())
afterEach(async () => {
  await Promise.all(opened.splice(0).map((close) => close()))
})
afterAll(async () => {
  await redis.stop()
  await origin[Symbol.asyncDispose]()
})

async function replica(more: Readonly<Record<string, string>> = {}): Promise<RunningEgress> {
  const egress = await startEgress({ ...env, REDIS_URL: redis.url, ...more })
  opened.push(() => egress.stop())
  return egress
}

/** Replicas that have reached Redis, and so have been given where they begin. */
async function fleetOf(count: number, more: Readonly<Record<string, string>> = {}): Promise<RunningEgress[]> {
  const fleet = await Promise.all(Array.from({ length: count }, () => replica(more)))
  await Promise.all(fleet.map((egress) => until(() => reachesRedis(egress))))
  return fleet
}

async function fleetOfTwo(more: Readonly<Record<string, string>> = {}): Promise<[RunningEgress, RunningEgress]> {
  return (await fleetOf(2, more)) as [RunningEgress, RunningEgress]
}

async function reachesRedis(egress: RunningEgress): Promise<boolean> {
  return (await egress.metrics()).includes('\nipfleet_egress_redis_up 1\n')
}

/** The address that a request left from, which the answer names, and the origin saw. */
async function sourceOf({ port }: RunningEgress, as = user): Promise<string> {
  return named(await askThrough(port, origin.url, { user: as }))
}

async function tunnelSourceOf({ port }: RunningEgress, as = user): Promise<string> {
  const tunnel = await tunnelThrough(port, origin.authority, { user: as })
  const inside = await askInTunnel(tunnel, origin.authority)
  expect(tunnel.headers['x-egress-ip']).toBe(inside.body)
  return inside.body
}

function named({ status, headers, body }: Reply): string {
  expect([status, headers['x-egress-ip']]).toEqual([200, body])
  return body
}

/** As many, one after the other, by turns over the replicas. */
async function sourcesInTurn(replicas: readonly RunningEgress[], count: number): Promise<string[]> {
  const sources: string[] = []
  for (let turn = 0; turn < count; turn += 1) sources.push(await sourceOf(replicas[turn % replicas.length]!))
  return sources
}

function countsOf(sources: readonly string[]): number[] {
  return pool.map((address) => sources.filter((source) => source === address).length)
}

/** Of each four in a row, whether they are four different ones. */
function rests(sources: readonly string[]): boolean[] {
  return sources.slice(0, -3).map((_, index) => new Set(sources.slice(index, index + 4)).size === 4)
}

describe('round robin', () => {
  test('1,000 requests of every kind over two replicas use each of four addresses 250 times, give or take 2', async () => {
    const fleet = await fleetOfTwo()
    const agent = new Agent({ keepAlive: true, maxSockets: 5 })
    const standing: TunnelReply[] = []
    opened.push(() => agent.destroy(), ...fleet.map(() => () => standing.forEach(({ wire }) => wire.destroy())))
    const kinds = [
      async (port: number) => void named(await askThrough(port, origin.url, { user, agent })),
      async (port: number) => void named(await askThrough(port, origin.url, { user })),
      async (port: number) => void (await askInTunnel(await tunnelThrough(port, origin.authority, { user }), 'a.test')),
      async (port: number) => {
        const tunnel = await tunnelThrough(port, origin.authority, { user })
        standing.push(tunnel)
        tunnel.wire.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
        await tunnel.wire.saw(`\r\n\r\n${tunnel.headers['x-egress-ip']}`)
      },
    ]
    let next = 0
    const askInLane = async (): Promise<void> => {
      while (next < 1000) {
        const turn = next++
        await kinds[turn % 4]?.(fleet[(turn >> 2) % 2]!.port)
      }
    }
    await Promise.all(Array.from({ length: 16 }, askInLane))
    expect(origin.arrivals).toHaveLength(1000)
    for (const count of countsOf(origin.sources)) expect(Math.abs(count - 250)).toBeLessThanOrEqual(2)
  })

  test('stays even while Redis is away, and when replicas begin without it', async () => {
    const before = await fleetOfTwo()
    await redis.kill()
    try {
      const fleet = [...before, await replica()]
      expect(countsOf(await sourcesInTurn(fleet, 120)).map((count) => Math.abs(count - 30) <= 3)).not.toContain(false)
    } finally {
      await redis.restart()
    }
  })

  test('replicas that make few connections begin at different addresses', async () => {
    const fleet = await fleetOf(4)
    expect((await sourcesInTurn(fleet, 4)).toSorted()).toEqual(pool)
  })
})

test('random: each address about as often, in no order', async () => {
  const egress = await replica({ ROTATION: 'random' })
  const sources = await sourcesInTurn([egress], 400)
  // 100 expected of each, with a standard deviation of 9.
  for (const count of countsOf(sources)) expect(Math.abs(count - 100)).toBeLessThanOrEqual(45)
  const repeats = sources.filter((source, index) => source === sources[index + 1]).length
  expect(repeats).toBeGreaterThan(50)
})

describe('least recently used', () => {
  test('an address is used again after all others of the fleet', async () => {
    const fleet = await fleetOfTwo({ ROTATION: 'least-recently-used' })
    expect(rests(await sourcesInTurn(fleet, 42))).not.toContain(false)
  })

  test.each([
    ['is gone', () => redis.kill(), () => redis.restart()],
    ['hangs', () => redis.pause(), () => redis.resume()],
  ])('while Redis %s, after all others of the replica', async (_fault, begin, end) => {
    const [egress] = await fleetOfTwo({ ROTATION: 'least-recently-used', REDIS_TIMEOUT_MS: '1000' })
    await sourcesInTurn([egress], 3)
    await begin()
    try {
      const startedMs = performance.now()
      await sourceOf(egress)
      expect(rests(await sourcesInTurn([egress], 16))).not.toContain(false)
      // Not each request waits for Redis: that would be 17 s.
      expect(performance.now() - startedMs).toBeLessThan(10_000)
    } finally {
      await end()
    }
  })
})

describe('a session', () => {
  const ids = Array.from({ length: 12 }, (_, index) => `abc${index}`)
  const sourcesOf = (egress: RunningEgress, options = ''): Promise<string[]> =>
    Promise.all(ids.map((id) => sourceOf(egress, `user-session-${id}${options}:secret`)))

  test('keeps its address, for URLs and tunnels, over replicas, without Redis, and over a restart', async () => {
    const [first, second] = await fleetOfTwo()
    const sources = await sourcesOf(first)
    expect(new Set(sources).size).toBeGreaterThan(1)
    expect(await Promise.all(ids.map((id) => tunnelSourceOf(second, `user-sessid-${id}:secret`)))).toEqual(sources)
    await redis.kill()
    expect(await sourcesOf(first)).toEqual(sources)
    const [third] = await Promise.all([replica(), second.stop()])
    expect(await sourcesOf(third)).toEqual(sources)
    await redis.restart()
    await until(() => reachesRedis(third))
    expect(await sourcesOf(third)).toEqual(sources)
  })

  test('with a time to live gets another address when it has passed, on all replicas at once', async () => {
    const [first, second] = await fleetOfTwo()
    const before = await sourcesOf(first, '-ttl-3')
    const long = await sourcesOf(first, '-ttl-86400')
    expect(await sourcesOf(second, '-sesstime-1440')).toEqual(long)
    await until(async () => {
      const startedMs = performance.now()
      const now = await sourcesOf(first, '-ttl-3')
      const there = await sourcesOf(second, '-ttl-3')
      const after = await sourcesOf(first, '-ttl-3')
      // What has changed on the way says nothing. In more time than they live it may have changed and changed back.
      if (performance.now() - startedMs > 2900) return false
      const differ = now.filter((source, index) => source === after[index] && source !== there[index])
      expect(differ).toEqual([])
      return now.join() !== before.join()
    })
    expect(await sourcesOf(first, '-ttl-86400')).toEqual(long)
  })

  test('moves when its address is out, unless it is a hard one: that is refused with 502', async () => {
    const egress = await replica({ IP_POOL: [...pool, '192.0.2.77'].join() })
    await egress.waitForLine(({ msg, source }) => msg === 'source address is out' && source === '192.0.2.77')
    const soft = await sourcesOf(egress)
    const asked = ids.map((id) => askThrough(egress.port, origin.url, { user: `user-session-${id}-hard:secret` }))
    const hard = await Promise.all(asked)
    const lost = hard.filter(({ status }) => status === 502)
    expect(lost.length).toBeGreaterThan(0)
    for (const { headers, body } of lost) {
      expect(headers['proxy-status']).toMatch(/^ipfleet-egress; error=destination_unavailable/)
      expect(JSON.parse(body)).toMatchObject({ error: { title: 'Session address lost' } })
    }
    expect(hard.map(({ status, body }, index) => status === 502 || body === soft[index])).not.toContain(false)
    const lostId = ids[hard.findIndex(({ status }) => status === 502)]
    const tunnel = await tunnelThrough(egress.port, origin.authority, { user: `user-session-${lostId}-hard:secret` })
    expect(tunnel.status).toBe(502)
  })

  test('with options that make no sense is not let in', async () => {
    const { port } = await replica()
    for (const name of ['user-session-', 'user-session-a-ttl-0', 'user-session-a-soft', 'user-hard']) {
      expect((await askThrough(port, origin.url, { user: `${name}:secret` })).status).toBe(407)
    }
  })
})
