import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { RedisUnavailable } from '@ipfleet/redis/redis-unavailable.ts'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { loadAlone } from '../../src/flight/load.ts'
import { at, Caller } from './caller.ts'
import { manualClock } from '@ipfleet/testing/manual-clock.ts'
import { openReplica, type Replica, leaseKey, outcomeKey } from './replica.ts'
import { connectAdmin } from '../replica.ts'
import { until } from '@ipfleet/testing/until.ts'

/** A process that stands still for a while keeps its leases. */
const lifeMs = 60_000
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
const soon = (): number => performance.now() + 30_000
const ledBy = (caller: Caller): boolean[] => [...new Set([...caller.results.values()].map(({ led }) => led))]

describe('many subjects', () => {
  test('that no replica loads are leased and loaded in one go, and their outcomes published', async () => {
    const caller = new Caller()
    const subjects = names(0, 1000)
    await replicas[0].flight.run(subjects, caller, soon())
    await caller.ended(1000)
    await replicas[0].flight.drained()
    expect(caller.loaded).toEqual(subjects)
    expect(caller.results.get('s999')).toEqual({ outcome: '<s999>', led: true })
    expect(await admin.keys('ipfleet:lease:*')).toEqual([])
    expect((await admin.keys('ipfleet:outcome:*')).length).toBe(1000)
  })

  test('that no replica waits for are published without a message', async () => {
    await admin.config('RESETSTAT')
    await (await run(replicas[0], names(0, 50))).ended(50)
    await replicas[0].flight.drained()
    const stats = await admin.info('commandstats')
    expect(stats).toContain('cmdstat_set:calls=100,')
    expect(stats).not.toContain('cmdstat_publish:')
  })

  test('of two replicas that overlap are each loaded once', async () => {
    const gate = Promise.withResolvers<void>()
    const callers = [new Caller(at(gate.promise)), new Caller(at(gate.promise))] as const
    const runs = [replicas[0].flight.run(names(0, 60), callers[0], soon())]
    await callers[0].began.promise
    runs.push(replicas[1].flight.run(names(40, 100), callers[1], soon()))
    await callers[1].began.promise
    gate.resolve()
    await Promise.all(runs)
    await Promise.all([callers[0].ended(60), callers[1].ended(60)])
    expect([...callers[0].loaded, ...callers[1].loaded]).toEqual(names(0, 100))
    expect(callers[1].results.get('s40')).toEqual({ outcome: '<s40>', led: false })
  })

  test('that have landed a moment ago are not loaded again', async () => {
    await (await run(replicas[0], names(0, 3))).ended(3)
    const late = await (await run(replicas[1], names(0, 3))).ended(3)
    expect(late.loaded).toEqual([])
    expect(ledBy(late)).toEqual([false])
  })

  test('whose outcome is only for those who waited are loaded again by those who come after', async () => {
    const gate = Promise.withResolvers<void>()
    const passing = at(gate.promise, (subject) => `once:${subject}`)
    const [first, waiting] = [new Caller(passing), new Caller()]
    const leading = replicas[0].flight.run(['a'], first, soon())
    await first.began.promise
    const following = replicas[1].flight.run(['a', 'b'], waiting, soon())
    await waiting.began.promise
    gate.resolve()
    await Promise.all([leading, following])
    await waiting.ended(2)
    expect(waiting.loaded).toEqual(['b'])
    expect(waiting.results.get('a')?.outcome).toBe('once:a')
    const late = await (await run(replicas[1], ['a'])).ended(1)
    expect(late.loaded).toEqual(['a'])
  })

  test('whose outcome is their own are loaded again by those who waited', async () => {
    const gate = Promise.withResolvers<void>()
    const [first, waiting] = [
      new Caller(at(gate.promise, (subject) => `${subject === 'a' ? 'own' : 'all'}:${subject}`)),
      new Caller(),
    ]
    const leading = replicas[0].flight.run(['a', 'b'], first, soon())
    await first.began.promise
    const following = replicas[1].flight.run(['a', 'b', 'c'], waiting, soon())
    const single = replicas[1].fly('a', async () => 'loaded alone', soon())
    await waiting.began.promise
    gate.resolve()
    await Promise.all([leading, following])
    await waiting.ended(3)
    expect([waiting.results.get('b')?.outcome, waiting.loaded.includes('b')]).toEqual(['all:b', false])
    expect(waiting.results.get('a')?.outcome).toMatch(/^(<a>|loaded alone)$/)
    expect((await single).outcome).toBe(waiting.results.get('a')?.outcome)
    expect(first.results.get('a')).toEqual({ outcome: 'own:a', led: true })
  })

  test('may be settled one after the other; each lands at once', async () => {
    const gate = Promise.withResolvers<void>()
    const caller = new Caller(async (_subjects, settle) => {
      await settle(new Map([['a', '<a>']]))
      await gate.promise
      await settle(new Map([['b', '<b>']]))
    })
    void replicas[0].flight.run(['a', 'b'], caller, soon())
    await caller.ended(1)
    const other = await (await run(replicas[1], ['a'])).ended(1)
    expect(other.results.get('a')).toEqual({ outcome: '<a>', led: false })
    gate.resolve()
    await caller.ended(2)
  })
})

async function run(replica: Replica, subjects: readonly string[], caller = new Caller()): Promise<Caller> {
  await replica.flight.run(subjects, caller, soon())
  return caller
}

describe('single flights and batches', () => {
  test('a single flight waits for the batch that has its subject, and is woken by it', async () => {
    const gate = Promise.withResolvers<void>()
    const caller = new Caller(at(gate.promise))
    await replicas[0].flight.run(['a', 'b'], caller, soon())
    const single = replicas[1].fly('a', async () => 'loaded alone', soon())
    setTimeout(gate.resolve, 100)
    expect(await single).toEqual({ outcome: '<a>', led: false })
  })

  test('a batch waits for the single flight of one of its subjects', async () => {
    const gate = Promise.withResolvers<string>()
    const began = Promise.withResolvers<void>()
    const single = replicas[0].fly('a', () => (began.resolve(), gate.promise), soon())
    await began.promise
    const caller = new Caller()
    const batch = replicas[1].flight.run(['a', 'b'], caller, soon())
    await caller.ended(1)
    gate.resolve('alone')
    await batch
    await caller.ended(2)
    expect(caller.loaded).toEqual(['b'])
    expect(caller.results.get('a')).toEqual({ outcome: 'alone', led: false })
    expect((await single).led).toBe(true)
  })
})

describe('a load', () => {
  test('that takes longer than its leases live keeps them', async () => {
    const gate = Promise.withResolvers<void>()
    const patient = await openReplica({ url: redis.url, lifeMs: 9000 })
    const callers = [new Caller(at(gate.promise)), new Caller()] as const
    await patient.flight.run(names(0, 300), callers[0], soon())
    const waiting = replicas[1].flight.run(names(0, 300), callers[1], performance.now() + 30_000)
    // They would end in 6 s. That they are extended shows that they would not.
    for (const name of ['s0', 's299']) await admin.pexpire(leaseKey(name), 6000)
    for (const name of ['s0', 's299']) await until(async () => (await admin.pttl(leaseKey(name))) > 6000)
    gate.resolve()
    await waiting
    await callers[1].ended(300)
    patient.close()
    expect(callers[1].loaded).toEqual([])
    expect(ledBy(callers[0])).toEqual([true])
  })

  test('whose lease was lost publishes nothing, and knows it', async () => {
    const clock = manualClock()
    const replica = await openReplica({ url: redis.url, lifeMs, clock })
    try {
      const gate = Promise.withResolvers<void>()
      const caller = new Caller(at(gate.promise))
      await replica.flight.run(['a', 'b'], caller, soon())
      clock.advance(lifeMs)
      await admin.set(leaseKey('a'), 'someone else', 'PX', 60_000)
      gate.resolve()
      await caller.ended(2)
      expect(caller.results.get('a')).toEqual({ outcome: '<a>', led: true, superseded: true })
      expect(caller.results.get('b')).toEqual({ outcome: '<b>', led: true })
      expect(await admin.get(outcomeKey('a'))).toBeNull()
      expect(replica.losses).toEqual({ lost: 1 })
    } finally {
      replica.close()
    }
  })

  test('that dies with its process is taken over when its leases have run out', async () => {
    const subjects = names(0, 20)
    await replicas[0].leases.open().claim(subjects)
    const caller = new Caller()
    const running = run(replicas[1], [...subjects, 'free'], caller)
    await caller.ended(1)
    for (const subject of subjects) await admin.pexpire(leaseKey(subject), 1)
    await running
    await caller.ended(21)
    expect(caller.loaded.toSorted()).toEqual(['free', ...subjects].toSorted())
    expect(replicas[1].losses).toEqual({ taken_over: 20 })
  })

  test.each([
    { what: 'throws', bring: () => Promise.reject(new Error('broken')), message: 'broken' },
    { what: 'forgets some', bring: async () => {}, message: /unsettled/ },
  ])('that $what fails its caller, and lets others have the subjects at once', async ({ bring, message }) => {
    const failing = await openReplica({ url: redis.url, lifeMs })
    const caller = await (await run(failing, ['a', 'b'], new Caller(bring))).ended(1)
    expect(caller.failures).toEqual([
      [['a', 'b'], expect.objectContaining({ message: expect.stringMatching(message) })],
    ])
    // Sooner than the leases end.
    await (await run(replicas[1], ['a', 'b'])).ended(2)
    failing.close()
  })

  test('of others that is not done by the deadline is given up with upstream_timeout; nothing of it is loaded', async () => {
    const gate = Promise.withResolvers<void>()
    const first = new Caller(at(gate.promise))
    await replicas[0].flight.run(['a'], first, soon())
    const caller = new Caller()
    const given = replicas[1].flight.run(['a', 'b'], caller, performance.now() + 2000)
    await expect(given).rejects.toMatchObject({ code: 'upstream_timeout' })
    expect(caller.loaded).toEqual(['b'])
    gate.resolve()
    await first.ended(1)
  })
})

describe('without Redis', () => {
  test('a flight throws RedisUnavailable before anything is loaded', async () => {
    const caller = new Caller()
    replicas[0].link.close()
    await expect(replicas[0].flight.run(['a'], caller, soon())).rejects.toThrow(RedisUnavailable)
    expect(caller.loaded).toEqual([])
  })

  test('that goes away in mid-load the outcomes still land, unpublished', async () => {
    const gate = Promise.withResolvers<void>()
    const caller = new Caller(at(gate.promise))
    await replicas[0].flight.run(['a', 'b'], caller, soon())
    replicas[0].link.close()
    gate.resolve()
    await caller.ended(2)
    expect(caller.results.get('a')).toEqual({ outcome: '<a>', led: true })
  })

  test('a process loads alone, and is told the same way', async () => {
    const caller = new Caller()
    await loadAlone(['a'], caller)
    expect(caller.results.get('a')).toEqual({ outcome: '<a>', led: true })
  })
})
