import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { startFaultyTcpProxy } from '@ipfleet/testing/faulty-tcp-proxy.ts'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import type { Outcome } from '../src/outcome.ts'
import type { Finding } from '../src/finding.ts'
import { type Load, loadingEach } from './fakes.ts'
import {
  type Admin,
  connectAdmin,
  joinedReplica,
  openReplica,
  type Replica,
  untilListening,
  watchCommands,
} from './replica.ts'
import { until } from '@ipfleet/testing/until.ts'

const cleanups: (() => unknown)[] = []
let redis: TestRedis
let admin: Admin

beforeEach(async () => {
  redis = await startTestRedis()
  admin = await connectAdmin(redis.url)
  cleanups.push(
    () => redis.stop(),
    () => admin.disconnect(),
  )
})

afterEach(async () => {
  jest.restoreAllMocks()
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

async function fleetOf(size: number, timeoutMs = 15_000): Promise<Replica[]> {
  // Leases and outcomes outlive a process or a server that stands still for a while.
  const options = { url: redis.url, timeoutMs, lifeMs: 60_000, keepMs: 60_000 }
  const fleet = await Promise.all(Array.from({ length: size }, () => joinedReplica(options)))
  for (const replica of fleet) cleanups.push(() => replica.close())
  await untilListening(admin, size)
  return fleet
}

const pairOf = async (timeoutMs?: number): Promise<[Replica, Replica]> =>
  (await fleetOf(2, timeoutMs)) as [Replica, Replica]

const find = ({ cache }: Replica, load: Load, query = '/8.8.8.8'): Promise<Finding> =>
  cache.find(query, loadingEach(load), performance.now() + 30_000)

const outcomeOf = (text: string, { status = 200, freshForMs = 60_000 } = {}): Outcome => ({
  kind: 'answer',
  answer: { status, contentType: 'text/plain', body: Buffer.from(text) },
  freshForMs,
})

/** A load that ends when the test says so, and counts how often it was begun. */
function heldLoad(): { load: Load; begun: Promise<void>; end: (outcome: Outcome) => void; loads: () => number } {
  const begun = Promise.withResolvers<void>()
  const outcome = Promise.withResolvers<Outcome>()
  let loads = 0
  const load: Load = () => {
    loads += 1
    begun.resolve()
    return outcome.promise
  }
  return { load, begun: begun.promise, end: outcome.resolve, loads: () => loads }
}

const loading =
  (outcome: Outcome): Load =>
  async () =>
    outcome

const neverLoad: Load = async () => {
  throw new Error('nothing must be loaded')
}

const textOf = (finding: Finding): string =>
  finding.kind === 'found' ? finding.entry.answer.body.toString() : finding.failure.code

const retryAfterOf = (finding: Finding): number | undefined =>
  finding.kind === 'failed' ? finding.failure.retryAfterSeconds : undefined

/** Resolves when so many replicas wait for a load of another. */
const untilWaiting = (count: number): Promise<unknown> =>
  until(async () => {
    const [channel] = (await admin.pubsub('CHANNELS', 'ipfleet:0:landed:*')) as string[]
    if (channel === undefined) return false
    return Number((await admin.pubsub('NUMSUB', channel))[1]) >= count
  })

/** Resolves when Redis has what was loaded: a caller has it before. */
const untilShared = (): Promise<unknown> =>
  until(async () => {
    const [answers, leases] = await Promise.all([admin.keys('ipfleet:answer:*'), admin.keys('ipfleet:lease:*')])
    return answers.length > 0 && leases.length === 0
  })

describe('one load for the fleet', () => {
  test.each<[string, Outcome, string, number | undefined]>([
    ['a value', outcomeOf('value'), 'value', undefined],
    ['a 404', outcomeOf('no such thing', { status: 404, freshForMs: 5000 }), 'no such thing', undefined],
    ['a failure', { kind: 'failure', code: 'keys_exhausted', retryAfterSeconds: 9 }, 'keys_exhausted', 9],
    ['an answer that must not be kept', outcomeOf('once', { freshForMs: 0 }), 'once', undefined],
  ])('%s is shared by all who wait for it', async (_what, outcome, text, retryAfterSeconds) => {
    const fleet = await fleetOf(4)
    const { load, end, loads } = heldLoad()
    const all = Promise.all(fleet.flatMap((replica) => [find(replica, load), find(replica, load), find(replica, load)]))
    await untilWaiting(3)
    end(outcome)
    const findings = await all
    expect(loads()).toBe(1)
    expect(findings.map(textOf)).toEqual(Array.from({ length: 12 }, () => text))
    expect(findings.filter(({ source }) => source === 'upstream')).toHaveLength(1)
    expect(findings.filter(({ source }) => source === 'collapsed')).toHaveLength(11)
    expect(findings.map(retryAfterOf)).toEqual(Array.from({ length: 12 }, () => retryAfterSeconds))
  })

  test('an answer over 1 MiB is not shared: each process loads it once', async () => {
    const fleet = await fleetOf(3)
    const { load, end, loads } = heldLoad()
    const all = Promise.all(fleet.flatMap((replica) => [find(replica, load), find(replica, load)]))
    await untilWaiting(2)
    const large = 'x'.repeat(1024 * 1024 + 1)
    end(outcomeOf(large, { freshForMs: 0 }))
    expect((await all).every((finding) => textOf(finding) === large)).toBe(true)
    expect(loads()).toBe(3)
  })

  test('who asks another replica afterwards finds it in Redis, or on the board', async () => {
    const [a, b] = await pairOf()
    await find(a, loading(outcomeOf('value')))
    const finding = await find(b, neverLoad)
    expect(textOf(finding)).toBe('value')
    expect(finding.source).toBe('l2')
    expect(await find(b, neverLoad)).toMatchObject({ source: 'l1' })
  })

  test('a failure is repeated to those who come within its short life, without another load', async () => {
    const [a, b] = await pairOf()
    await find(a, loading({ kind: 'failure', code: 'upstream_failed' }))
    expect(textOf(await find(b, neverLoad))).toBe('upstream_failed')
  })
})

describe('commands', () => {
  test('a cold miss costs four of the eight that a lookup may spend, a hit in Redis one, one in memory none', async () => {
    const [a, b] = await pairOf()
    await find(a, loading(outcomeOf('warm-up')), '/warm-up')
    await find(b, neverLoad, '/warm-up')
    const watch = await watchCommands(redis.url, '/8.8.8.8')
    await find(a, loading(outcomeOf('value')))
    await untilShared()
    await find(b, neverLoad)
    await find(b, neverLoad)
    await watch.stop()
    expect(watch.commands()).toEqual(['get', 'evalsha', 'set', 'evalsha', 'get'])
  })
})

describe('a purge', () => {
  test('on one replica empties the memory of all within 100 ms, and what is in Redis is not found again', async () => {
    const fleet = await fleetOf(4)
    const [first] = fleet as [Replica]
    let round = 0
    // One round in time is enough: slower ones tell of a machine that is busy with other things.
    await until(async () => {
      round += 1
      await Promise.all(fleet.map((replica) => find(replica, loading(outcomeOf(`before ${round}`)))))
      expect(fleet.map(({ memory }) => memory.size)).toEqual([1, 1, 1, 1])
      const startedMs = performance.now()
      await first.generation.purge()
      await until(() => fleet.every(({ memory }) => memory.size === 0))
      const tookMs = performance.now() - startedMs
      for (const replica of fleet) {
        expect(textOf(await find(replica, loading(outcomeOf(`after ${round}`))))).toBe(`after ${round}`)
      }
      await first.generation.purge()
      await until(() => fleet.every(({ memory }) => memory.size === 0))
      return tookMs < 100
    })
  })

  test('during a load: its answer stays in no memory, is not found in Redis, and answers no later caller', async () => {
    const [a, b] = await pairOf()
    const { load, begun, end } = heldLoad()
    const leading = find(a, load)
    await begun
    const waiting = find(b, load)
    await untilWaiting(1)
    await b.generation.purge()
    await until(() => a.generation.current === b.generation.current)
    end(outcomeOf('old'))
    expect((await Promise.all([leading, waiting])).map(textOf)).toEqual(['old', 'old'])
    expect([a.memory.size, b.memory.size]).toEqual([0, 0])
    expect(await admin.keys('ipfleet:answer:*')).toEqual([])
    expect(textOf(await find(b, loading(outcomeOf('new'))))).toBe('new')
    expect(textOf(await find(a, neverLoad))).toBe('new')
  })

  test('just after a load: the outcome that is still in Redis answers no caller', async () => {
    const [a, b] = await pairOf()
    await find(a, loading(outcomeOf('old')))
    await a.generation.purge()
    await until(() => a.generation.current === b.generation.current)
    expect(textOf(await find(b, loading(outcomeOf('new'))))).toBe('new')
  })
})

describe('a Redis that fails', () => {
  test('hung: memory serves, misses are loaded once per process, and no caller waits for it to return', async () => {
    const [a, b] = await pairOf(2500)
    await find(a, loading(outcomeOf('kept')), '/kept')
    await redis.pause()
    expect(await find(a, neverLoad, '/kept')).toMatchObject({ source: 'l1' })
    const findings = await Promise.all([
      find(a, loading(outcomeOf('own a'))),
      find(a, loading(outcomeOf('not loaded'))),
      find(b, loading(outcomeOf('own b'))),
    ])
    expect(findings.map(textOf)).toEqual(['own a', 'own a', 'own b'])
    if (a.link.up) await once(a.link, 'down')
    expect(textOf(await find(a, loading(outcomeOf('other')), '/other'))).toBe('other')
    await redis.resume()
  })

  test('killed and restarted: the fleet shares again', async () => {
    const [a, b] = await pairOf()
    const downs = Promise.all([once(a.link, 'down'), once(b.link, 'down')])
    await redis.kill()
    await downs
    expect(textOf(await find(a, loading(outcomeOf('meanwhile'))))).toBe('meanwhile')
    await redis.restart()
    const returned = await connectAdmin(redis.url)
    cleanups.push(() => returned.disconnect())
    await untilListening(returned, 2)
    const isJoined = async ({ link, generation }: Replica): Promise<boolean> =>
      link.up && generation.current === (await returned.get('ipfleet:generation:{answers}'))
    await until(async () => (await isJoined(a)) && (await isJoined(b)))
    await find(a, loading(outcomeOf('shared')), '/shared')
    expect(textOf(await find(b, neverLoad, '/shared'))).toBe('shared')
  })

  test('full: what it has is served, the rest is loaded and kept in memory', async () => {
    const [a, b] = await pairOf()
    await find(a, loading(outcomeOf('kept')), '/kept')
    await untilShared()
    await admin.config('SET', 'maxmemory', '1')
    expect(await find(b, neverLoad, '/kept')).toMatchObject({ source: 'l2' })
    expect(textOf(await find(a, loading(outcomeOf('own'))))).toBe('own')
    expect(await find(a, neverLoad)).toMatchObject({ source: 'l1' })
    expect(a.link.up).toBe(true)
  })

  test('absent from the start: a replica serves from its own loads, and joins when Redis comes', async () => {
    await redis.kill()
    const alone = openReplica({ url: redis.url })
    cleanups.push(() => alone.close())
    expect(textOf(await find(alone, loading(outcomeOf('own'))))).toBe('own')
    await redis.restart()
    await alone.generation.known
    const other = await joinedReplica({ url: redis.url })
    cleanups.push(() => other.close())
    await find(alone, loading(outcomeOf('shared')), '/shared')
    expect(textOf(await find(other, neverLoad, '/shared'))).toBe('shared')
  })
})

test('freshness does not care when the wall clock jumps', async () => {
  const [a, b] = await pairOf()
  await find(a, loading(outcomeOf('value')))
  const realNow = Date.now.bind(Date)
  for (const jumpMs of [-3_600_000, 3_600_000]) {
    jest.spyOn(Date, 'now').mockImplementation(() => realNow() + jumpMs)
    expect(await find(a, neverLoad)).toMatchObject({ source: 'l1' })
    const finding = await find(b, neverLoad)
    expect(finding.kind === 'found' && finding.entry.ageMs(performance.now())).toBeLessThan(10_000)
  }
})

/** A replica whose bytes to and from its servers take that long. */
async function slowReplica(stateMs: number, cacheMs: number): Promise<Replica> {
  const urls = await Promise.all(
    [stateMs, cacheMs].map(async (delayMs) => {
      const proxy = await startFaultyTcpProxy({ targetPort: redis.port })
      cleanups.push(() => proxy.close())
      await proxy.mode({ delayMs })
      return `redis://127.0.0.1:${proxy.port}`
    }),
  )
  const [url = '', cacheUrl = ''] = urls
  // Longer than any machine stands still.
  const options = { timeoutMs: 30_000, lifeMs: 60_000, keepMs: 60_000 }
  const replica = await joinedReplica({ url, cacheUrl: stateMs === cacheMs ? url : cacheUrl, ...options })
  cleanups.push(() => replica.close())
  return replica
}

describe('where Redis is slow', () => {
  test.each<{ readonly a: [number, number]; readonly b: [number, number] }>([
    { a: [20, 20], b: [1, 1] },
    { a: [1, 40], b: [1, 1] },
    { a: [15, 1], b: [1, 25] },
  ])('one load answers two replicas that ask within moments: $a and $b ms', async ({ a, b }) => {
    const replicas = await Promise.all([slowReplica(...a), slowReplica(...b)])
    const loads = new Map<string, number>()
    const queries = Array.from({ length: 60 }, (_, at) => `/9.9.9.${at}`)
    const loadOf =
      (query: string): Load =>
      async () => {
        loads.set(query, (loads.get(query) ?? 0) + 1)
        return outcomeOf(query)
      }
    const asked = queries.flatMap((query, at) =>
      replicas.map(async (replica, index) => {
        // Before, during and after the other's load.
        await sleep(index === at % 2 ? 0 : at * 2)
        return find(replica, loadOf(query), query)
      }),
    )
    expect((await Promise.all(asked)).map(textOf)).toEqual(queries.flatMap((query) => [query, query]))
    expect([...loads.values()]).toEqual(queries.map(() => 1))
  })
})
