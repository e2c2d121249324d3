import { compileCache } from '@ipfleet/testing/compile-cache.ts'
import { fileURLToPath } from 'node:url'
import { spawnGuarded, type GuardedChild } from '@ipfleet/testing/service-process-child.ts'
import { startFaultyTcpProxy } from '@ipfleet/testing/faulty-tcp-proxy.ts'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { openReplica, type Replica, type ReplicaOptions, landedChannel, leaseKey, outcomeKey } from './replica.ts'
import { connectAdmin } from '../replica.ts'
import { observeRedis, type SeenCommand } from '@ipfleet/testing/redis-observer.ts'
import { until } from '@ipfleet/testing/until.ts'

/** A process that stands still for a while keeps its leases; a test that needs one to run out sees to it. */
const lifeMs = 60_000
const cleanups: (() => unknown)[] = []
let redis: TestRedis
let admin: Awaited<ReturnType<typeof connectAdmin>>

beforeEach(async () => {
  redis = await startTestRedis()
  admin = await connectAdmin(redis.url)
  cleanups.push(
    () => redis.stop(),
    () => admin.disconnect(),
  )
})

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

async function open(options: Partial<ReplicaOptions> = {}): Promise<Replica> {
  // Who gets no answer in time on a busy machine does not wait, and tests await that all do.
  const replica = await openReplica({ url: redis.url, lifeMs, ...options })
  cleanups.push(() => replica.close())
  return replica
}

const openFleet = (size: number): Promise<Replica[]> => Promise.all(Array.from({ length: size }, () => open()))

const concernsS = ({ args }: SeenCommand): boolean => args.some((arg) => arg.endsWith('}:s'))

const inMs = (durationMs: number): number => performance.now() + durationMs

/** A load that ends when the test says so, and counts how often it was begun. */
function heldLoad(): {
  load: () => Promise<string>
  begun: Promise<void>
  end: (outcome: string) => void
  loads: () => number
} {
  const begun = Promise.withResolvers<void>()
  const outcome = Promise.withResolvers<string>()
  let loads = 0
  const load = (): Promise<string> => {
    loads += 1
    begun.resolve()
    return outcome.promise
  }
  return { load, begun: begun.promise, end: outcome.resolve, loads: () => loads }
}

const neverLoad = async (): Promise<string> => {
  throw new Error('this replica must not load')
}

const endLease = (): Promise<unknown> => admin.pexpire(leaseKey('s'), 1)

/** Resolves when so many replicas listen for the subject's landing. */
const untilWaiting = (count: number, subject = 's'): Promise<unknown> =>
  until(async () => Number((await admin.pubsub('NUMSUB', landedChannel(subject)))[1]) >= count)

interface LoneLeader {
  readonly process: GuardedChild
  readonly nextLine: () => Promise<string>
}

/** A replica in a process of its own that is in the middle of its load, which ends when it reads a line. */
async function loneLeader(): Promise<LoneLeader> {
  const lines: string[] = []
  const child = await spawnGuarded(process.execPath, {
    args: [
      '--disable-warning=ExperimentalWarning',
      fileURLToPath(new URL('lone-leader.ts', import.meta.url)),
      redis.url,
      's',
      String(lifeMs),
    ],
    env: { PATH: process.env['PATH'] ?? '', ...compileCache },
    cwd: process.cwd(),
    stdin: true,
  })
  cleanups.push(async () => {
    child.kill('SIGKILL')
    await child.exited
  })
  child.onLine((line) => lines.push(line))
  const nextLine = async (): Promise<string> => {
    await until(() => lines.length > 0)
    return lines.shift() ?? ''
  }
  expect(await nextLine()).toBe('loading')
  return { process: child, nextLine }
}

describe('one load in the whole fleet', () => {
  test('whatever it brings goes to all who want it, and one of them made it', async () => {
    const fleet = await openFleet(8)
    const { load, end, loads } = heldLoad()
    const all = Promise.all(fleet.map(({ fly }) => fly('s', load, inMs(30_000))))
    await untilWaiting(7)
    end('outcome')
    const flown = await all
    expect(loads()).toBe(1)
    expect(flown.map(({ outcome }) => outcome)).toEqual(Array.from({ length: 8 }, () => 'outcome'))
    expect(flown.filter(({ led }) => led)).toHaveLength(1)
    expect(flown.every(({ superseded }) => superseded === undefined)).toBe(true)
  })

  test('a load that takes longer than a lease is still the only one', async () => {
    const fleet = await Promise.all(Array.from({ length: 3 }, () => open({ lifeMs: 9000 })))
    const { load, end, loads } = heldLoad()
    const all = Promise.all(fleet.map(({ fly }) => fly('s', load, inMs(30_000))))
    await untilWaiting(2)
    // It would end in 6 s. That it is extended shows that it would not.
    await admin.pexpire(leaseKey('s'), 6000)
    await until(async () => (await admin.pttl(leaseKey('s'))) > 6000)
    end('late')
    expect((await all).map(({ outcome }) => outcome)).toEqual(['late', 'late', 'late'])
    expect(loads()).toBe(1)
  })

  test('who comes just after it gets its outcome and gives the lease back', async () => {
    const [a, b] = await Promise.all([open(), open()])
    await a.fly('s', async () => 'outcome', inMs(30_000))
    expect(await b.fly('s', neverLoad, inMs(30_000))).toEqual({ outcome: 'outcome', led: false })
    expect(await admin.exists(leaseKey('s'))).toBe(0)
  })

  test('subjects do not wait for each other', async () => {
    const [a, b] = await Promise.all([open(), open()])
    const { load, begun, end } = heldLoad()
    const slow = a.fly('slow', load, inMs(30_000))
    await begun
    expect((await b.fly('quick', async () => 'quick', inMs(30_000))).outcome).toBe('quick')
    end('slow')
    await slow
  })

  test('bytes on the board that make no sense are no outcome', async () => {
    const replica = await open()
    await admin.set(outcomeKey('s'), 'written by another version')
    expect(await replica.fly('s', async () => 'mine', inMs(30_000))).toMatchObject({ outcome: 'mine', led: true })
  })

  test('a load that throws gives the lease back, and a waiter loads instead', async () => {
    const [a, b] = await Promise.all([open(), open()])
    const held = Promise.withResolvers<string>()
    const begun = Promise.withResolvers<void>()
    const failing = a.fly(
      's',
      () => {
        begun.resolve()
        return held.promise
      },
      inMs(30_000),
    )
    await begun.promise
    const waiting = b.fly('s', async () => 'mine', inMs(30_000))
    await untilWaiting(1)
    held.reject(new Error('a fault of ours'))
    await expect(failing).rejects.toThrow('a fault of ours')
    expect(await waiting).toEqual({ outcome: 'mine', led: true })
  })

  test('an outcome that concerns no other caller gives the lease back, and a waiter loads instead', async () => {
    const [a, b] = await Promise.all([open(), open()])
    const { load, begun, end } = heldLoad()
    const leading = a.fly('s', load, inMs(30_000))
    await begun
    const waiting = b.fly('s', async () => 'mine', inMs(30_000))
    await untilWaiting(1)
    end('own: nothing')
    expect(await leading).toEqual({ outcome: 'own: nothing', led: true })
    expect(await waiting).toEqual({ outcome: 'mine', led: true })
  })

  test('leading costs two commands: one for lease and outcome, and one to publish', async () => {
    const replica = await open()
    await replica.fly('warm-up', async () => 'outcome', inMs(30_000))
    // Landings are told where a replica listens.
    cleanups.push(await replica.leases.open().onLanding('s', () => {}))
    await using observer = await observeRedis(redis.url)
    await replica.fly('s', async () => 'outcome', inMs(30_000))
    await observer.waitFor(1, (command) => concernsS(command) && command.name === 'publish')
    const told = observer.commands().filter((command) => concernsS(command) && !command.inner)
    expect(told.map(({ name }) => name)).toEqual(['evalsha', 'evalsha'])
  })
})

describe('outcomes that must not serve those who come later', () => {
  test('serve those who waited', async () => {
    const [a, b] = await Promise.all([open(), open()])
    const { load, begun, end } = heldLoad()
    const leading = a.fly('s', load, inMs(30_000))
    await begun
    const waiting = b.fly('s', neverLoad, inMs(30_000))
    await untilWaiting(1)
    end('once: 1')
    expect(await waiting).toEqual({ outcome: 'once: 1', led: false })
    expect(await leading).toMatchObject({ led: true })
  })

  test('do not serve who comes after', async () => {
    const [a, b] = await Promise.all([open(), open()])
    await a.fly('s', async () => 'once: 1', inMs(30_000))
    expect(await b.fly('s', async () => 'once: 2', inMs(30_000))).toMatchObject({ outcome: 'once: 2', led: true })
  })

  test('do not serve who waits for the load after', async () => {
    const [a, b] = await Promise.all([open(), open()])
    await a.fly('s', async () => 'once: 1', inMs(30_000))
    const { load, begun, end } = heldLoad()
    const leading = a.fly('s', load, inMs(30_000))
    await begun
    const waiting = b.fly('s', neverLoad, inMs(30_000))
    await untilWaiting(1)
    end('once: 2')
    expect((await waiting).outcome).toBe('once: 2')
    await leading
  })
})

describe('a waiter', () => {
  test('gives up at its own deadline, and never loads freely', async () => {
    const [a, b] = await Promise.all([open(), open()])
    const { load, begun, end } = heldLoad()
    const leading = a.fly('s', load, inMs(30_000))
    await begun
    const startedMs = performance.now()
    await expect(b.fly('s', neverLoad, inMs(400))).rejects.toMatchObject({ code: 'upstream_timeout' })
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(390)
    end('late')
    await leading
  })

  test('stops listening when it is done', async () => {
    const [a, b] = await Promise.all([open(), open()])
    const { load, begun, end } = heldLoad()
    const leading = a.fly('s', load, inMs(30_000))
    await begun
    const waiting = b.fly('s', neverLoad, inMs(30_000))
    await untilWaiting(1)
    end('outcome')
    await Promise.all([leading, waiting])
    await until(async () => (await admin.pubsub('NUMSUB', landedChannel('s')))[1] === 0)
  })

  test('wakes when its pub/sub connection was killed', async () => {
    const [a, b] = await Promise.all([open(), open()])
    const { load, begun, end } = heldLoad()
    const leading = a.fly('s', load, inMs(30_000))
    await begun
    const waiting = b.fly('s', neverLoad, inMs(30_000))
    await untilWaiting(1)
    await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
    end('outcome')
    expect((await waiting).outcome).toBe('outcome')
    await leading
  })

  test('wakes when no message comes through at all', async () => {
    const proxy = await startFaultyTcpProxy({ targetPort: redis.port })
    cleanups.push(() => proxy.close())
    const [a, b] = await Promise.all([open(), open({ subscriberUrl: `redis://127.0.0.1:${proxy.port}` })])
    const { load, begun, end } = heldLoad()
    const leading = a.fly('s', load, inMs(30_000))
    await begun
    await proxy.mode('blackhole')
    const waiting = b.fly('s', neverLoad, inMs(30_000))
    // It has looked at the board once, in vain.
    await until(async () => Number(/cmdstat_pttl:calls=(\d+)/.exec(await admin.info('commandstats'))?.[1] ?? 0) > 0)
    end('outcome')
    expect((await waiting).outcome).toBe('outcome')
    await leading
  })
})

describe('a holder that fails', () => {
  test('killed in mid-load it is replaced when its lease has run out, by one of all', async () => {
    const fleet = await openFleet(4)
    const leader = await loneLeader()
    let loads = 0
    const load = async (): Promise<string> => {
      loads += 1
      return 'from the successor'
    }
    const all = Promise.all(fleet.map(({ fly }) => fly('s', load, inMs(30_000))))
    await untilWaiting(4)
    leader.process.kill('SIGKILL')
    await leader.process.exited
    expect(await admin.pttl(leaseKey('s'))).toBeLessThanOrEqual(lifeMs)
    await endLease()
    const flown = await all
    expect(new Set(flown.map(({ outcome }) => outcome))).toEqual(new Set(['from the successor']))
    expect(loads).toBe(1)
    expect(fleet.map(({ losses }) => losses).filter((losses) => losses.taken_over === 1)).toHaveLength(1)
  })

  test('has its outcome before Redis has it, as long as the lease is surely its own', async () => {
    const replica = await open()
    const { load, begun, end } = heldLoad()
    const leading = replica.fly('s', load, inMs(30_000))
    await begun
    end('own')
    expect(await leading).toEqual({ outcome: 'own', led: true })
    let isShared = false
    const drained = replica.flight.drained().then(() => (isShared = true))
    for (let turn = 0; turn < 50; turn += 1) await Promise.resolve()
    expect(isShared).toBe(false)
    await drained
    expect(await admin.get(outcomeKey('s'))).toBe('text own')
    expect(await admin.exists(leaseKey('s'))).toBe(0)
  })

  test('paused past its lease it overwrites nothing when it goes on', async () => {
    const replica = await open()
    const leader = await loneLeader()
    leader.process.kill('SIGSTOP')
    await endLease()
    const successor = await replica.fly('s', async () => 'newer', inMs(30_000))
    expect(successor).toEqual({ outcome: 'newer', led: true })
    leader.process.kill('SIGCONT')
    leader.process.write('end\n')
    const late: unknown = JSON.parse(await leader.nextLine())
    expect(late).toEqual({ outcome: 'from the lone leader', led: true, superseded: true })
    expect((await admin.get(outcomeKey('s'))) ?? 'text newer').toBe('text newer')
  })

  test('paused past its lease while its successor still loads, it takes nothing from that one', async () => {
    const replica = await open()
    const leader = await loneLeader()
    leader.process.kill('SIGSTOP')
    await endLease()
    const { load, begun, end } = heldLoad()
    const succeeding = replica.fly('s', load, inMs(30_000))
    await begun
    leader.process.kill('SIGCONT')
    leader.process.write('end\n')
    expect(JSON.parse(await leader.nextLine())).toMatchObject({ superseded: true })
    expect(await admin.exists(leaseKey('s'), outcomeKey('s'))).toBe(1)
    end('newer')
    expect(await succeeding).toEqual({ outcome: 'newer', led: true })
    // The caller has it first, then the others.
    await until(async () => (await admin.get(outcomeKey('s'))) === 'text newer')
  })

  test('cut off from Redis it has its outcome, unpublished, and the others another', async () => {
    const [a, b] = await Promise.all([open(), open()])
    const { load, begun, end } = heldLoad()
    const leading = a.fly('s', load, inMs(30_000))
    await begun
    const waiting = b.fly('s', async () => 'another', inMs(30_000))
    await untilWaiting(1)
    a.link.close()
    await endLease()
    end('own')
    expect(await leading).toEqual({ outcome: 'own', led: true })
    expect(await waiting).toEqual({ outcome: 'another', led: true })
    expect([a.losses, b.losses]).toEqual([{ lost: 1 }, { taken_over: 1 }])
  })
})

describe('a Redis that fails', () => {
  test('hung before a load has begun: the fleet cannot be asked', async () => {
    const replica = await open({ timeoutMs: 2500 })
    await redis.pause()
    await expect(replica.fly('s', neverLoad, inMs(30_000))).rejects.toMatchObject({ name: 'RedisUnavailable' })
  })

  test('hung while waiting: the fleet cannot be asked', async () => {
    const [a, b] = await Promise.all([open({ timeoutMs: 2500 }), open({ timeoutMs: 2500 })])
    const { load, begun, end } = heldLoad()
    const leading = a.fly('s', load, inMs(30_000))
    await begun
    const waiting = b.fly('s', neverLoad, inMs(30_000))
    await untilWaiting(1)
    const refused = waiting.catch((error: unknown) => error)
    await redis.pause()
    expect(await refused).toMatchObject({ name: 'RedisUnavailable' })
    end('own')
    expect(await leading).toEqual({ outcome: 'own', led: true })
  })

  test('full in mid-load: the leader has its outcome, and waiters are let go before the lease ends', async () => {
    const [a, b] = await Promise.all([open(), open()])
    const { load, begun, end } = heldLoad()
    const leading = a.fly('s', load, inMs(30_000))
    await begun
    const waiting = b.fly('s', neverLoad, inMs(30_000))
    await untilWaiting(1)
    const refused = waiting.catch((error: unknown) => error)
    await admin.config('SET', 'maxmemory', '1')
    end('own')
    expect(await leading).toEqual({ outcome: 'own', led: true })
    expect(await refused).toMatchObject({ name: 'RedisUnavailable', reason: 'full' })
  })
})
