import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { RedisUnavailable } from '@ipfleet/redis/redis-unavailable.ts'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { BatchFlight, loadAlone } from '../../src/flight/batch-flight.ts'
import { RedisClaims } from '../../src/flight/claims.ts'
import { at, Crew } from './crew.ts'
import { connectAdmin, openReplica, type Replica, textCodec, leaseKey, outcomeKey } from './replica.ts'

const lifeMs = 400
let redis: TestRedis
let admin: Awaited<ReturnType<typeof connectAdmin>>
let replicas: [Replica, Replica]

beforeAll(async () => {
  redis = await startTestRedis()
  admin = await connectAdmin(redis.url)
})
afterAll(async () => {
  admin.disconnect()
  await redis.stop()
})
beforeEach(async () => {
  await admin.flushall()
  replicas = [await openReplica({ url: redis.url, lifeMs }), await openReplica({ url: redis.url, lifeMs })]
})
afterEach(() => {
  for (const replica of replicas) replica.close()
})

const names = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, index) => `s${from + index}`)
const flightOf = (replica: Replica): BatchFlight<string> =>
  new BatchFlight(new RedisClaims(replica.link, { lifeMs }), textCodec)
const soon = (): number => performance.now() + 5000
const ledBy = (crew: Crew): boolean[] => [...new Set([...crew.flown.values()].map(({ led }) => led))]

describe('many subjects', () => {
  test('that nobody loads are leased and loaded in one go, and their outcomes published', async () => {
    const crew = new Crew()
    const subjects = names(0, 1000)
    await flightOf(replicas[0]).run(subjects, crew, soon())
    await crew.ended(1000)
    expect(crew.loaded).toEqual(subjects)
    expect(crew.flown.get('s999')).toEqual({ outcome: '<s999>', led: true, published: true })
    expect(await admin.keys('ipfleet:lease:*')).toEqual([])
    expect((await admin.keys('ipfleet:outcome:*')).length).toBe(1000)
  })

  test('that nobody waits for are published without a message', async () => {
    await admin.config('RESETSTAT')
    await (await run(replicas[0], names(0, 50))).ended(50)
    const stats = await admin.info('commandstats')
    expect(stats).toContain('cmdstat_set:calls=100,')
    expect(stats).not.toContain('cmdstat_publish:')
  })

  test('of two replicas that overlap are each loaded once', async () => {
    const gate = Promise.withResolvers<void>()
    const crews = [new Crew(at(gate.promise)), new Crew(at(gate.promise))] as const
    const runs = [flightOf(replicas[0]).run(names(0, 60), crews[0], soon())]
    await crews[0].began.promise
    runs.push(flightOf(replicas[1]).run(names(40, 100), crews[1], soon()))
    await crews[1].began.promise
    gate.resolve()
    await Promise.all(runs)
    await Promise.all([crews[0].ended(60), crews[1].ended(60)])
    expect([...crews[0].loaded, ...crews[1].loaded]).toEqual(names(0, 100))
    expect(crews[1].flown.get('s40')).toEqual({ outcome: '<s40>', led: false, published: true })
  })

  test('that have landed a moment ago are not loaded again', async () => {
    await (await run(replicas[0], names(0, 3))).ended(3)
    const late = await (await run(replicas[1], names(0, 3))).ended(3)
    expect(late.loaded).toEqual([])
    expect(ledBy(late)).toEqual([false])
  })

  test('whose outcome is only for those who waited are loaded again by whoever comes after', async () => {
    const gate = Promise.withResolvers<void>()
    const passing = at(gate.promise, (subject) => `once:${subject}`)
    const [first, waiting] = [new Crew(passing), new Crew()]
    const leading = flightOf(replicas[0]).run(['a'], first, soon())
    await first.began.promise
    const following = flightOf(replicas[1]).run(['a', 'b'], waiting, soon())
    await waiting.began.promise
    gate.resolve()
    await Promise.all([leading, following])
    await waiting.ended(2)
    expect(waiting.loaded).toEqual(['b'])
    expect(waiting.flown.get('a')?.outcome).toBe('once:a')
    const late = await (await run(replicas[1], ['a'])).ended(1)
    expect(late.loaded).toEqual(['a'])
  })

  test('whose outcome is their own are loaded again by whoever waited', async () => {
    const gate = Promise.withResolvers<void>()
    const [first, waiting] = [
      new Crew(at(gate.promise, (subject) => `${subject === 'a' ? 'own' : 'all'}:${subject}`)),
      new Crew(),
    ]
    const leading = flightOf(replicas[0]).run(['a', 'b'], first, soon())
    await first.began.promise
    const following = flightOf(replicas[1]).run(['a', 'b', 'c'], waiting, soon())
    const single = replicas[1].flight.run('a', async () => 'loaded alone', soon())
    await waiting.began.promise
    gate.resolve()
    await Promise.all([leading, following])
    await waiting.ended(3)
    expect([waiting.flown.get('b')?.outcome, waiting.loaded.includes('b')]).toEqual(['all:b', false])
    expect(waiting.flown.get('a')?.outcome).toMatch(/^(<a>|loaded alone)$/)
    expect((await single).outcome).toBe(waiting.flown.get('a')?.outcome)
    expect(first.flown.get('a')).toEqual({ outcome: 'own:a', led: true, published: false })
  })

  test('may be settled one after the other; each lands at once', async () => {
    const gate = Promise.withResolvers<void>()
    const crew = new Crew(async (_subjects, settle) => {
      await settle(new Map([['a', '<a>']]))
      await gate.promise
      await settle(new Map([['b', '<b>']]))
    })
    void flightOf(replicas[0]).run(['a', 'b'], crew, soon())
    await crew.ended(1)
    const other = await (await run(replicas[1], ['a'])).ended(1)
    expect(other.flown.get('a')).toEqual({ outcome: '<a>', led: false, published: true })
    gate.resolve()
    await crew.ended(2)
  })
})

async function run(replica: Replica, subjects: readonly string[], crew = new Crew()): Promise<Crew> {
  await flightOf(replica).run(subjects, crew, soon())
  return crew
}

describe('single flights and batches', () => {
  test('a single flight waits for the batch that has its subject, and is woken by it', async () => {
    const gate = Promise.withResolvers<void>()
    const crew = new Crew(at(gate.promise))
    await flightOf(replicas[0]).run(['a', 'b'], crew, soon())
    const single = replicas[1].flight.run('a', async () => 'loaded alone', soon())
    setTimeout(gate.resolve, 100)
    expect(await single).toEqual({ outcome: '<a>', led: false, published: true })
  })

  test('a batch waits for the single flight of one of its subjects', async () => {
    const gate = Promise.withResolvers<string>()
    const began = Promise.withResolvers<void>()
    const single = replicas[0].flight.run('a', () => (began.resolve(), gate.promise), soon())
    await began.promise
    const crew = new Crew()
    const batch = flightOf(replicas[1]).run(['a', 'b'], crew, soon())
    await crew.ended(1)
    gate.resolve('alone')
    await batch
    await crew.ended(2)
    expect(crew.loaded).toEqual(['b'])
    expect(crew.flown.get('a')).toEqual({ outcome: 'alone', led: false, published: true })
    expect((await single).published).toBe(true)
  })
})

describe('a load', () => {
  test('that takes longer than its leases live keeps them', async () => {
    const gate = Promise.withResolvers<void>()
    setTimeout(gate.resolve, lifeMs * 2.5)
    const crews = [new Crew(at(gate.promise)), new Crew()] as const
    await flightOf(replicas[0]).run(names(0, 300), crews[0], soon())
    await flightOf(replicas[1]).run(names(0, 300), crews[1], soon())
    await crews[1].ended(300)
    expect(crews[1].loaded).toEqual([])
    expect(ledBy(crews[0])).toEqual([true])
  })

  test('whose lease was lost publishes nothing, and knows it', async () => {
    const gate = Promise.withResolvers<void>()
    const crew = new Crew(at(gate.promise))
    await flightOf(replicas[0]).run(['a', 'b'], crew, soon())
    await admin.set(leaseKey('a'), 'someone else', 'PX', 5000)
    gate.resolve()
    await crew.ended(2)
    expect(crew.flown.get('a')).toEqual({ outcome: '<a>', led: true, published: false })
    expect(crew.flown.get('b')).toEqual({ outcome: '<b>', led: true, published: true })
    expect(await admin.get(outcomeKey('a'))).toBeNull()
  })

  test('that dies with its process is taken over when its leases have run out', async () => {
    const dead = new RedisClaims(replicas[0].link, { lifeMs })
    await dead.claim(names(0, 20), 'a dead process', false)
    const crew = await run(replicas[1], names(0, 20))
    await crew.ended(20)
    expect(crew.loaded).toEqual(names(0, 20))
  })

  test.each([
    { what: 'throws', bring: () => Promise.reject(new Error('broken')), message: 'broken' },
    { what: 'forgets some', bring: async () => {}, message: /unsettled/ },
  ])('that $what fails its crew, and lets others have the subjects at once', async ({ bring, message }) => {
    const crew = await (await run(replicas[0], ['a', 'b'], new Crew(bring))).ended(1)
    expect(crew.failures).toEqual([[['a', 'b'], expect.objectContaining({ message: expect.stringMatching(message) })]])
    const startedMs = performance.now()
    await (await run(replicas[1], ['a', 'b'])).ended(2)
    expect(performance.now() - startedMs).toBeLessThan(lifeMs)
  })

  test('of others that is not done by the deadline is given up with upstream_timeout; nothing of it is loaded', async () => {
    const gate = Promise.withResolvers<void>()
    const first = new Crew(at(gate.promise))
    await flightOf(replicas[0]).run(['a'], first, soon())
    const crew = new Crew()
    const given = flightOf(replicas[1]).run(['a', 'b'], crew, performance.now() + 200)
    await expect(given).rejects.toMatchObject({ code: 'upstream_timeout' })
    expect(crew.loaded).toEqual(['b'])
    gate.resolve()
    await first.ended(1)
  })
})

describe('without Redis', () => {
  test('a flight throws RedisUnavailable before anything is loaded', async () => {
    const crew = new Crew()
    replicas[0].link.close()
    await expect(flightOf(replicas[0]).run(['a'], crew, soon())).rejects.toThrow(RedisUnavailable)
    expect(crew.loaded).toEqual([])
  })

  test('that goes away in mid-load the outcomes still land, unpublished', async () => {
    const gate = Promise.withResolvers<void>()
    const crew = new Crew(at(gate.promise))
    await flightOf(replicas[0]).run(['a', 'b'], crew, soon())
    replicas[0].link.close()
    gate.resolve()
    await crew.ended(2)
    expect(crew.flown.get('a')).toEqual({ outcome: '<a>', led: true, published: false })
  })

  test('a process loads alone, and is told the same way', async () => {
    const crew = new Crew()
    await loadAlone(['a'], crew)
    expect(crew.flown.get('a')).toEqual({ outcome: '<a>', led: true, published: true })
  })
})
