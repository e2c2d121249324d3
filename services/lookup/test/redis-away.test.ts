import { until } from '@ipfleet/testing/until.ts'
import { setInterval as ticks } from 'node:timers/promises'
import { afterEach, describe, expect, test } from '@jest/globals'
import { startFaultyTcpProxy } from '@ipfleet/testing/faulty-tcp-proxy.ts'
import { startTestRedis } from '@ipfleet/testing/test-redis.ts'
import {
  cacheStatus,
  defaultKeys,
  healthOf,
  type LocalFleet,
  type LocalFleetOptions,
  startLocalFleet,
} from './local-fleet.ts'
import { observeRedis } from '@ipfleet/testing/redis-observer.ts'
import type { LogLine } from '@ipfleet/testing/service-process.ts'

/** Redis may hang, die, fill up and return, and lookups go on. */

const upstreamLatencyMs = 20
const mostWaitedForRedisMs = 1500
/** Nor longer than this times what the same machine took while Redis was well, which it may be too busy for. */
const busyFactor = 5

const opened: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of opened.splice(0).toReversed()) await close()
})

async function fleetOf(options: LocalFleetOptions): Promise<LocalFleet> {
  const fleet = await startLocalFleet({
    ...options,
    fake: { latencyMs: upstreamLatencyMs, ...options.fake },
  })
  opened.push(() => fleet.stop())
  return fleet
}

let address = 0
/** A query that was not asked before. */
const fresh = (): string => `/9.1.${(address >> 8) & 255}.${address++ & 255}`

async function isHealth(fleet: LocalFleet, status: 'ok' | 'degraded'): Promise<boolean> {
  const reports = await Promise.all([...fleet.replicas.keys()].map((replica) => healthOf(fleet, replica)))
  return reports.every((report) => report.status === status)
}

/** Asks all replicas for the same cold address at once, and tells how often upstream was asked for it. */
async function upstreamCallsForOne(fleet: LocalFleet): Promise<number> {
  const path = fresh()
  // Long enough for the last of them to come before the first has its answer.
  fleet.fake.behave({ kind: 'latency', ms: 1000, paths: [path] })
  const replies = await fleet.askAll(30, () => path)
  expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]))
  return fleet.fake.callsTo(path).length
}

interface Sample {
  readonly phase: string
  /** 200, or what went wrong. */
  readonly result: number | string
  readonly isHit: boolean
  readonly tookMs: number
}

const hot = Array.from({ length: 20 }, (_, index) => `/8.1.0.${index}`)
const tickMs = 10

/** Three requests every 10 ms, one to each replica: of each three, two for hot addresses and one for a new one. */
function steadyLoad(fleet: LocalFleet) {
  const samples: Sample[] = []
  const underWay: Promise<void>[] = []
  const stopped = new AbortController()
  let phase = ''
  let turn = 0

  const one = async (replica: number): Promise<void> => {
    const path = turn++ % 3 === 0 ? fresh() : (hot[turn % hot.length] ?? '/')
    const startedMs = performance.now()
    const sample = { phase, result: 'no answer', isHit: false, tookMs: 0 } as {
      -readonly [K in keyof Sample]: Sample[K]
    }
    samples.push(sample)
    try {
      const reply = await fleet.ask(path, { replica })
      sample.result = reply.status
      sample.isHit = cacheStatus(reply).endsWith('detail=l1')
    } catch (error) {
      sample.result = String(error)
    }
    sample.tookMs = performance.now() - startedMs
  }
  const run = async (): Promise<void> => {
    try {
      for await (const _ of ticks(tickMs, undefined, { signal: stopped.signal })) {
        // So that replicas take turns with the new addresses.
        turn += 1
        for (const replica of fleet.replicas.keys()) underWay.push(one(replica))
      }
    } catch {
      // It was stopped.
    }
  }
  const running = run()
  return {
    /** From now on samples are of this phase. Resolves when `count` of them have been taken. */
    async enter(name: string, count: number): Promise<void> {
      phase = name
      await until(async () => samples.filter((sample) => sample.phase === name).length >= count)
    },
    async stop(): Promise<readonly Sample[]> {
      stopped.abort()
      await running
      await Promise.all(underWay)
      return samples
    },
  }
}

function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

const hitsOf = (samples: readonly Sample[], phase: string): number[] =>
  samples.filter((sample) => sample.phase === phase && sample.isHit).map(({ tookMs }) => tookMs)

const missesOf = (samples: readonly Sample[], phase: string): number[] =>
  samples.filter((sample) => sample.phase === phase && !sample.isHit).map(({ tookMs }) => tookMs)

describe('three replicas under load', () => {
  test('lose no request while Redis hangs, is dead and comes back, nor wait for it; then they coordinate again', async () => {
    const fleet = await fleetOf({ replicas: 3, env: { REDIS_TIMEOUT_MS: '100' } })
    for (const replica of [0, 1, 2]) await Promise.all(hot.map((path) => fleet.ask(path, { replica })))
    const load = steadyLoad(fleet)
    await load.enter('up', 400)
    await until(() => isHealth(fleet, 'ok'))
    await fleet.redis.pause()
    await load.enter('hung', 600)
    await until(() => isHealth(fleet, 'degraded'))
    await fleet.redis.kill()
    await load.enter('dead', 400)
    await until(() => isHealth(fleet, 'degraded'))
    await fleet.redis.restart()
    await until(() => isHealth(fleet, 'ok'))
    await until(async () => (await upstreamCallsForOne(fleet)) === 1)
    await load.enter('back', 400)
    const samples = await load.stop()

    expect(samples.filter(({ result }) => result !== 200)).toEqual([])
    // The quicker half, since the others tell of the machine. How long any of them may wait for Redis is shown below, and
    // that no hit asks it in redis-commands.test.ts.
    const waitMs = (phase: string): number => percentile(missesOf(samples, phase), 0.5) - upstreamLatencyMs
    const mostMs = Math.max(mostWaitedForRedisMs, busyFactor * waitMs('up'))
    for (const phase of ['hung', 'dead', 'back']) expect(waitMs(phase)).toBeLessThan(mostMs)
    for (const phase of ['hung', 'dead', 'back']) {
      const hits = hitsOf(samples, phase)
      expect(hits.length).toBeGreaterThan(100)
      expect(percentile(hits, 0.25)).toBeLessThan(Math.max(50, busyFactor * percentile(hitsOf(samples, 'up'), 0.25)))
    }
  })
})

test('not one hit waits for a Redis that hangs, and no miss for more than one deadline', async () => {
  const redisTimeoutMs = 1000
  const fleet = await fleetOf({ replicas: 1, env: { REDIS_TIMEOUT_MS: String(redisTimeoutMs) } })
  const roundsMs: number[] = []
  for (const path of hot) await fleet.ask(path)
  await fleet.redis.pause()
  for (let round = 0; round < 10; round += 1) {
    const startedMs = performance.now()
    const replies = await fleet.askAll(hot.length, (index) => hot[index] ?? '/')
    expect(replies.filter((reply) => !cacheStatus(reply).endsWith('detail=l1'))).toEqual([])
    roundsMs.push(performance.now() - startedMs)
  }
  // The usual round: the slowest tell of the machine.
  expect(percentile(roundsMs, 0.5)).toBeLessThan(redisTimeoutMs)
  const startedMs = performance.now()
  const misses = await fleet.askAll(20, fresh)
  expect(new Set(misses.map(({ status }) => status))).toEqual(new Set([200]))
  // One after the other would be twenty deadlines.
  expect(performance.now() - startedMs).toBeLessThan(10 * redisTimeoutMs)
  await fleet.redis.resume()
})

const isOfRedis = ({ reason }: LogLine): boolean => String(reason).includes('nothing listens')

describe('a fleet whose Redis is away', () => {
  test('starts without it, serves, and joins when it comes', async () => {
    const fleet = await fleetOf({ replicas: 0 })
    await fleet.redis.kill()
    const [replica] = await Promise.all([fleet.join(), fleet.join()])
    await until(() => isHealth(fleet, 'degraded'))
    await replica.waitForLine(({ msg }) => String(msg).includes('this replica alone until Redis can be used'))
    const told = replica.lines().map(({ msg }) => String(msg))
    expect(told.filter((line) => line.includes('shared through Redis'))).toEqual([])
    await replica.waitForLine(isOfRedis)
    expect(replica.lines().filter(isOfRedis)).toHaveLength(1)
    expect((await fleet.ask(fresh())).status).toBe(200)
    await fleet.redis.restart()
    await until(() => isHealth(fleet, 'ok'))
    const path = fresh()
    await fleet.ask(path, { replica: 0 })
    expect(cacheStatus(await fleet.ask(path, { replica: 1 }))).toContain('detail=l2')
  })

  test('asks upstream once per process: who comes meanwhile waits for the same call', async () => {
    const fleet = await fleetOf({ replicas: 2 })
    await fleet.redis.kill()
    await until(() => isHealth(fleet, 'degraded'))
    await until(async () => (await upstreamCallsForOne(fleet)) === 2)
    expect((await fleet.ask('/metrics')).text).toMatch(/^ipfleet_leases_lost_total\{how="away"\} [1-9]/m)
  })

  test('tells the others of a key that was benched meanwhile, when Redis is back', async () => {
    const fleet = await fleetOf({ replicas: 2 })
    await fleet.redis.kill()
    await until(() => isHealth(fleet, 'degraded'))
    fleet.fake.behave({ kind: '429-storm', tokens: [defaultKeys[1]], times: 1 })
    await until(async () => {
      expect((await fleet.ask(fresh(), { replica: 0 })).status).toBe(200)
      return (await healthOf(fleet, 0)).keys.cooling === 1
    })
    expect((await healthOf(fleet, 1)).keys.cooling).toBe(0)
    await fleet.redis.restart()
    await until(async () => (await healthOf(fleet, 1)).keys.cooling === 1)
    fleet.fake.clearCalls()
    for (let count = 0; count < 9; count += 1) expect((await fleet.ask(fresh(), { replica: 1 })).status).toBe(200)
    expect(fleet.fake.countByToken()).not.toHaveProperty(defaultKeys[1])
  })
})

test('a full Redis that refuses to store costs the sharing, not the answers', async () => {
  const redis = await startTestRedis({ args: ['--maxmemory', '3mb', '--maxmemory-policy', 'noeviction'] })
  opened.push(() => redis.stop())
  const fleet = await fleetOf({ redis, replicas: 2 })
  const observer = await observeRedis(redis.url)
  opened.push(async () => observer[Symbol.asyncDispose]())
  await fill(observer)
  for (const replica of [0, 1]) {
    // A replica that stood still for the life of its lease keeps no answer at first.
    await until(async () => {
      const path = fresh()
      const replies = await Promise.all(Array.from({ length: 10 }, () => fleet.ask(path, { replica })))
      expect(replies.map(({ status }) => status)).toEqual(Array.from({ length: 10 }, () => 200))
      const again = await fleet.ask(path, { replica })
      return fleet.fake.callsTo(path).length === 1 && cacheStatus(again).includes('detail=l1')
    })
  }
  await observer.call('FLUSHALL')
  const path = fresh()
  await fleet.ask(path, { replica: 0 })
  await until(async () => cacheStatus(await fleet.ask(path, { replica: 1 })).includes('detail=l'))
})

/** Until not even a byte more is taken. */
async function fill(observer: { call(name: string, ...args: readonly string[]): Promise<unknown> }): Promise<void> {
  for (const size of [100_000, 1000, 10]) {
    for (let count = 0, full = false; !full; count += 1) {
      full = await observer.call('SET', `filling:${size}:${count}`, 'x'.repeat(size)).then(
        () => false,
        (error: Error) => error.message.startsWith('OOM'),
      )
    }
  }
}

test.each(['blackhole', 'half'] as const)(
  'a link to Redis that carries nothing (%s) costs no request more than one deadline, and is replaced',
  async (mode) => {
    const redis = await startTestRedis()
    opened.push(() => redis.stop())
    const proxy = await startFaultyTcpProxy({ targetPort: redis.port })
    opened.push(() => proxy.close())
    const env = { REDIS_URL: `redis://127.0.0.1:${proxy.port}`, REDIS_TIMEOUT_MS: '1000' }
    const fleet = await fleetOf({ redis, replicas: 2, env })
    await until(async () => (await upstreamCallsForOne(fleet)) === 1)
    const longestWaitMs = async (): Promise<number> => {
      let longestMs = 0
      for (let count = 0; count < 6; count += 1) {
        const startedMs = performance.now()
        expect((await fleet.ask(fresh(), { replica: count % 2 })).status).toBe(200)
        longestMs = Math.max(longestMs, performance.now() - startedMs - upstreamLatencyMs)
      }
      return longestMs
    }
    await proxy.mode(mode)
    // A second, and what a busy machine adds.
    expect(await longestWaitMs()).toBeLessThan(8000)
    await until(() => isHealth(fleet, 'degraded'))
    // What was swallowed is lost for good: new connections are needed, not only a link that works again.
    await proxy.mode('pass')
    await until(() => isHealth(fleet, 'ok'))
    await until(async () => (await upstreamCallsForOne(fleet)) === 1)
  },
)

async function fleetOfTwo() {
  const answers = await startTestRedis()
  opened.push(() => answers.stop())
  const fleet = await fleetOf({ replicas: 2, env: { REDIS_CACHE_URL: answers.url } })
  return { fleet, answers }
}

async function dumpOf(url: string): Promise<string> {
  const observer = await observeRedis(url)
  try {
    return await observer.dump()
  } finally {
    await observer[Symbol.asyncDispose]()
  }
}

describe('a second Redis for answers', () => {
  test('holds the answers and nothing else', async () => {
    const { fleet, answers } = await fleetOfTwo()
    await fleet.ask(fresh())
    const lines = (await dumpOf(answers.url)).split('\n')
    // What a new link has tried is there for a second.
    const kept = lines.filter((line) => !line.startsWith('ipfleet:self-test:'))
    expect(kept).toEqual([expect.stringMatching(/^ipfleet:answer:/)])
    expect(await dumpOf(fleet.redis.url)).not.toContain('ipfleet:answer:')
  })

  test('may die alone: replicas still ask upstream once for all', async () => {
    const { fleet, answers } = await fleetOfTwo()
    await answers.kill()
    // First the connection has ended; why there is no other shows at the next try.
    await until(async () => (await fleet.ask('/health')).text.includes('nothing listens'))
    expect((await healthOf(fleet)).redis).toMatchObject({
      state: 'up',
      cache: 'down',
      problems: { cache: { reason: expect.stringMatching(/^nothing listens at 127/), since: expect.any(String) } },
    })
    await until(async () => (await upstreamCallsForOne(fleet)) === 1)
    await answers.restart()
    await until(() => isHealth(fleet, 'ok'))
  })

  test('still answers when the other dies alone', async () => {
    const { fleet } = await fleetOfTwo()
    const path = fresh()
    await fleet.ask(path, { replica: 0 })
    await fleet.redis.kill()
    await until(() => isHealth(fleet, 'degraded'))
    expect((await healthOf(fleet, 1)).redis).toMatchObject({ state: 'down', cache: 'up' })
    expect(cacheStatus(await fleet.ask(path, { replica: 1 }))).toContain('detail=l2')
    expect((await fleet.ask(fresh(), { replica: 1 })).status).toBe(200)
    await fleet.redis.restart()
    await until(() => isHealth(fleet, 'ok'))
  })
})
