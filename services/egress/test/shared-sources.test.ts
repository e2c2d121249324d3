import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { FleetClock } from '@ipfleet/redis/fleet-clock.ts'
import { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { Subscriber } from '@ipfleet/redis/subscriber.ts'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { until } from '@ipfleet/testing/until.ts'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { readIpPool } from '../src/sources/ip-pool.ts'
import { LiveSourcePool, type LiveSourcePoolOptions } from '../src/sources/live-source-pool.ts'
import type { CheckVerdict, Session, SourceOutcome, SourceRequest } from '../src/sources/source-pool.ts'

const [a, b, c, d] = ['127.0.0.2', '127.0.0.3', '127.0.0.4', '127.0.0.5'] as const
const four: readonly string[] = [a, b, c, d]
const site = 'shop.example'

interface Replica {
  readonly pool: LiveSourcePool
  readonly link: RedisLink
  /** Good unless set. */
  readonly verdicts: Map<string, CheckVerdict>
  readonly told: string[]
}

let redis: TestRedis
let closings: (() => unknown)[]

beforeEach(async () => {
  redis = await startTestRedis()
  closings = []
})

afterEach(async () => {
  for (const close of closings.toReversed()) close()
  await redis.stop()
})

async function replica(options: Partial<LiveSourcePoolOptions> = {}, entries = four): Promise<Replica> {
  // A deadline that a busy test machine keeps.
  const timeoutMs = 10_000
  const link = new RedisLink({ url: redis.url, name: 'egress', timeoutMs })
  const subscriber = new Subscriber({ url: redis.url }, timeoutMs)
  const clock = new FleetClock()
  if (!link.up) await once(link, 'up')
  clock.follow(link)
  const verdicts = new Map<string, CheckVerdict>()
  const read = readIpPool(entries)
  const pool = new LiveSourcePool(
    {
      entries: read.kind === 'entries' ? read.entries : [],
      rotation: 'round-robin',
      checkIntervalMs: 600_000,
      siteBenchMs: 600_000,
      ...options,
    },
    { check: async ({ address }) => verdicts.get(address) ?? { kind: 'good' }, clock, fleet: { link, subscriber } },
  )
  closings.push(
    () => link.close(),
    () => subscriber.close(),
    () => clock.close(),
    () => pool.close(),
  )
  const told: string[] = []
  pool.on('out', (address) => void told.push(`${address} out`))
  pool.on('back', (address) => void told.push(`${address} back`))
  pool.on('siteBenched', (address) => void told.push(`${address} benched`))
  await pool.start()
  return { pool, link, verdicts, told }
}

async function whenDown(...replicas: readonly Replica[]): Promise<void> {
  for (const { link } of replicas) if (link.up) await once(link, 'down')
}

async function whenUp(...replicas: readonly Replica[]): Promise<void> {
  for (const { link } of replicas) if (!link.up) await once(link, 'up')
}

async function next({ pool }: Replica, more: Partial<SourceRequest> = {}): Promise<string> {
  const choice = await pool.next({ families: [4], site, session: undefined, tried: [], ...more })
  return choice.kind === 'source' ? choice.source.address : choice.kind
}

async function taken(from: Replica, count: number, more?: Partial<SourceRequest>): Promise<string[]> {
  const addresses: string[] = []
  for (let turn = 0; turn < count; turn += 1) addresses.push(await next(from, more))
  return addresses
}

const countsOf = (addresses: readonly string[]): number[] =>
  four.map((address) => addresses.filter((each) => each === address).length)

function report({ pool }: Replica, address: string, ...outcomes: SourceOutcome[]): void {
  for (const outcome of outcomes) pool.report({ address, family: 4, listedAs: address }, site, outcome)
}

/** This site blocks this address and no other. */
function block(at: Replica, address: string): void {
  report(at, address, 'target_failed')
  report(at, address === a ? b : a, 'connected')
  report(at, address, 'target_failed', 'target_failed')
}

/** Whether the address has no turns at the site. */
const isAway = async (from: Replica, address: string): Promise<boolean> => !(await taken(from, 8)).includes(address)

const sessions = Array.from({ length: 50 }, (): Session => ({ id: randomUUID(), ttlSeconds: undefined, hard: false }))

async function sessionAddresses(at: Replica): Promise<string[]> {
  const addresses: string[] = []
  for (const session of sessions) addresses.push(await next(at, { session }))
  return addresses
}

describe('round robin over two replicas', () => {
  test.each([
    [500, 500],
    [501, 499],
    [997, 3],
  ])('of %d and %d connections, each of four addresses has a quarter', async (here, there) => {
    const [one, other] = [await replica(), await replica()]
    const addresses = [...(await taken(one, here)), ...(await taken(other, there))]
    for (const count of countsOf(addresses)) expect(Math.abs(count - 250)).toBeLessThanOrEqual(2)
  })

  test('stays even while Redis dies and returns', async () => {
    const [one, other] = [await replica(), await replica()]
    const addresses = [...(await taken(one, 101)), ...(await taken(other, 102))]
    await redis.kill()
    await whenDown(one, other)
    addresses.push(...(await taken(one, 203)), ...(await taken(other, 197)))
    await redis.restart()
    await whenUp(one, other)
    addresses.push(...(await taken(one, 197)), ...(await taken(other, 200)))
    for (const count of countsOf(addresses)) expect(Math.abs(count - 250)).toBeLessThanOrEqual(2)
  })

  test('each begins where none before it has: also replicas that live for one connection', async () => {
    const addresses: string[] = []
    for (let life = 0; life < 8; life += 1) addresses.push(await next(await replica()))
    expect(countsOf(addresses)).toEqual([2, 2, 2, 2])
  })
})

describe('least recently used over two replicas', () => {
  const options = { rotation: 'least-recently-used' } as const

  test('strictly alternates, whoever of them asks', async () => {
    const [one, other] = [await replica(options), await replica(options)]
    const addresses: string[] = []
    for (let turn = 0; turn < 6; turn += 1) addresses.push(await next(one), await next(one), await next(other))
    const round = addresses.slice(0, 4)
    expect(countsOf(round)).toEqual([1, 1, 1, 1])
    expect(addresses).toEqual([...round, ...round, ...round, ...round, ...round.slice(0, 2)])
  })

  test('who was out has rested longest', async () => {
    const one = await replica(options)
    await taken(one, 8)
    block(one, c)
    expect(await taken(one, 6)).not.toContain(c)
    expect(await next(one, { site: 'other.example' })).toBe(c)
  })

  test('while Redis is away answers at once, from what this replica knows', async () => {
    const one = await replica(options)
    const round = await taken(one, 4)
    await redis.kill()
    await whenDown(one)
    const choice = one.pool.next({ families: [4], site, session: undefined, tried: [] })
    expect(choice).toMatchObject({ kind: 'source', source: { address: round[0] } })
    expect(await taken(one, 4)).toEqual([round[1], round[2], round[3], round[0]])
  })

  test('asks nobody about a single source', async () => {
    const { pool } = await replica(options, ['10.0.0.0/16'])
    expect(pool.next({ families: [4], site, session: undefined, tried: [] })).toMatchObject({ kind: 'source' })
  })

  test('has nobody when nobody is left', async () => {
    const one = await replica(options)
    for (const address of four) report(one, address, 'not_ours')
    expect(await next(one)).toBe('all_out')
  })
})

test('sessions have the same addresses at all replicas, without Redis, and after a restart', async () => {
  const [one, other] = [await replica(), await replica()]
  const before = await sessionAddresses(one)
  expect(new Set(before).size).toBe(4)
  expect(await sessionAddresses(other)).toEqual(before)
  await redis.kill()
  await whenDown(one, other)
  expect(await sessionAddresses(one)).toEqual(before)
  await redis.restart()
  expect(await sessionAddresses(await replica())).toEqual(before)
})

describe('benched at one replica for a site', () => {
  test('an address is benched at the others, and told of once at each', async () => {
    const [one, other] = [await replica(), await replica()]
    block(one, b)
    await until(() => isAway(other, b))
    expect(await taken(other, 8, { site: 'other.example' })).toContain(b)
    expect([one.told, other.told]).toEqual([[`${b} benched`], [`${b} benched`]])
  })

  test('a replica that starts later knows', async () => {
    const one = await replica()
    block(one, b)
    await until(async () => isAway(await replica(), b))
  })

  test('a replica that has other addresses does not mind', async () => {
    const [one, other] = [await replica(), await replica({}, [a, '127.0.0.9'])]
    block(one, b)
    block(one, a)
    await until(() => other.told.length > 0)
    expect(other.told).toEqual([`${a} benched`])
  })

  test('it ends for all when its time is over', async () => {
    const [one, other] = [await replica({ siteBenchMs: 3000 }), await replica()]
    block(one, b)
    await until(() => other.told.includes(`${b} benched`))
    await until(async () => !(await isAway(other, b)))
  })

  test('it holds while Redis is away, and is published again when that returns empty', async () => {
    const [one, other] = [await replica(), await replica()]
    block(one, b)
    await until(() => isAway(other, b))
    await redis.kill()
    await whenDown(one, other)
    expect([await isAway(one, b), await isAway(other, b)]).toEqual([true, true])
    block(one, c)
    await redis.restart()
    await whenUp(one, other)
    await until(() => isAway(other, c))
    await until(async () => {
      const late = await replica()
      return (await isAway(late, b)) && (await isAway(late, c))
    })
  })
})

describe('found out by the checks of one replica', () => {
  const checkIntervalMs = 100

  test('an address is out at the others while that goes on, and back with it', async () => {
    const [one, other] = [await replica({ checkIntervalMs }), await replica()]
    one.verdicts.set(d, { kind: 'failed', reason: 'ETIMEDOUT' })
    await until(() => other.told.includes(`${d} out`))
    // Longer than one report of it holds.
    const endMs = performance.now() + 5 * checkIntervalMs
    await until(() => performance.now() > endMs)
    // A report that Redis held up is out of date for a moment.
    await until(() => isAway(other, d))
    one.verdicts.delete(d)
    for (const { told } of [one, other]) await until(() => told.at(-1) === `${d} back`)
  })

  test('it returns when the replica that found it is gone', async () => {
    const [one, other] = [await replica({ checkIntervalMs }), await replica()]
    one.verdicts.set(d, { kind: 'failed', reason: 'ETIMEDOUT' })
    await until(() => other.told.includes(`${d} out`))
    one.pool.close()
    await until(() => other.told.includes(`${d} back`))
  })

  test('that it is not that machine’s is nobody else’s business', async () => {
    const [one, other] = [await replica({ checkIntervalMs }), await replica()]
    one.verdicts.set(c, { kind: 'not_ours' })
    await until(() => one.told.includes(`${c} out`))
    report(one, a, 'not_ours')
    block(one, b)
    await until(() => other.told.includes(`${b} benched`))
    expect(other.told).toEqual([`${b} benched`])
  })
})

test('messages that make no sense harm nothing', async () => {
  const one = await replica()
  for (const message of ['', 'x', 'null', '7', '{}', '{"kind":"site","member":"127.0.0.2","remainingMs":9}']) {
    await one.link.run((client) => client.publish('ipfleet:0:egress:sources', message))
  }
  for (const member of [7, a]) {
    const change = { kind: 'out', member, remainingMs: 60_000 }
    await one.link.run((client) => client.publish('ipfleet:0:egress:sources', JSON.stringify(change)))
  }
  await until(() => one.told.length > 0)
  expect(one.told).toEqual([`${a} out`])
})

test('what is kept in Redis has an end', async () => {
  const one = await replica({ rotation: 'least-recently-used', checkIntervalMs: 100 })
  await replica()
  await taken(one, 3)
  one.verdicts.set(d, { kind: 'failed', reason: 'ETIMEDOUT' })
  block(one, b)
  const keys = await until(async () => {
    const found = await one.link.run((client) => client.keys('ipfleet:egress:*'))
    return found.length >= 4 && found
  })
  // -1: it is kept for ever. What has expired meanwhile had an end.
  for (const key of keys) expect(await one.link.run((client) => client.pttl(key))).not.toBe(-1)
})
