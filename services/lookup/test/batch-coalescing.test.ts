import { request } from 'node:http'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { FakeCall } from '@ipfleet/testing/fake-ipinfo/call-log.ts'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { type AskOptions, cacheStatus, type LocalFleet, mostCalls, type Reply, startLocalFleet } from './local-fleet.ts'

let redis: TestRedis
beforeAll(async () => {
  redis = await startTestRedis()
})
afterAll(() => redis.stop())

let network = 0
/** So many addresses of a network that were not asked for before. */
function freshAddresses(count: number): string[] {
  network += 1
  return Array.from({ length: count }, (_, at) => `9.${network}.${Math.floor(at / 250)}.${at % 250}`)
}
const post = (items: readonly string[], options: AskOptions = {}): AskOptions => ({
  method: 'POST',
  body: JSON.stringify(items),
  ...options,
})
const isBatch = ({ path }: FakeCall): boolean => path.startsWith('/batch')
const askedItems = ({ fake }: LocalFleet): string[] =>
  fake.calls.flatMap(({ path, items }) => items ?? [path.slice(1)]).toSorted()
const addressesIn = (reply: Reply): (string | undefined)[] =>
  Object.values(reply.json() as Record<string, { ip?: string }>).map(({ ip }) => ip)

describe('batches and single queries that are asked at the same time', () => {
  let fleet: LocalFleet
  beforeAll(async () => {
    fleet = await startLocalFleet({ redis, replicas: 3 })
  })
  afterAll(() => fleet.stop())
  beforeEach(() => fleet.fake.clearCalls())
  afterEach(() => fleet.fake.heal())

  test('ask for no item twice: three replicas with overlapping batches', async () => {
    const items = freshAddresses(600)
    fleet.fake.behave({ kind: 'latency', ms: 200 })
    const parts = [items.slice(0, 400), items.slice(200, 600), [...items.slice(500), ...items.slice(0, 100)]]
    const replies = await Promise.all(parts.map((part, replica) => fleet.ask('/batch', post(part, { replica }))))
    expect(replies.map(addressesIn)).toEqual(parts)
    await expectAskedOnce(fleet, items)
  })

  test('ask for no item twice: three batches of one replica', async () => {
    const items = freshAddresses(60)
    fleet.fake.behave({ kind: 'latency', ms: 200 })
    const parts = [items.slice(0, 40), items.slice(20, 60), items]
    const replies = await Promise.all(parts.map((part) => fleet.ask('/batch', post(part))))
    expect(replies.map(addressesIn)).toEqual(parts)
    await expectAskedOnce(fleet, items)
  })

  test('ask for no item twice also when upstream takes twice as long as a lease lives', async () => {
    const items = freshAddresses(40)
    fleet.fake.behave({ kind: 'latency', ms: 3000, paths: ['/batch'] })
    const replies = await Promise.all([0, 1].map((replica) => fleet.ask('/batch', post(items, { replica }))))
    expect(replies.map(addressesIn)).toEqual([items, items])
    await expectAskedOnce(fleet, items)
    const collapsed = replies.map(cacheStatus).filter((status) => status.endsWith('collapsed'))
    expect(collapsed).toHaveLength(replies.length - fleet.fake.calls.length)
  })

  test.each([
    { who: 'the same replica', replica: 0 },
    { who: 'another replica', replica: 1 },
  ])('a single query waits for the batch that holds it: $who', async ({ replica }) => {
    const [later, ...items] = freshAddresses(6)
    const gate = fleet.fake.hold({ paths: ['/batch'] })
    const asked = fleet.fake.nextCall(isBatch)
    const batch = fleet.ask('/batch', post(items))
    await asked
    const single = fleet.ask(`/${items[2]}`, { replica })
    // Nothing tells that a query waits. One that was asked after it and is answered has passed the point where it does.
    await fleet.ask(`/${later}`, { replica })
    gate.release()
    expect(cacheStatus(await single)).toContain('collapsed')
    expect((await single).json()).toEqual(((await batch).json() as Record<string, unknown>)[items[2] ?? ''])
    await expectAskedOnce(fleet, [...items, String(later)])
  })

  test.each([
    { who: 'the same replica', replica: 0 },
    { who: 'another replica', replica: 1 },
  ])('a single query whose record a batch lacks asks for itself: $who', async ({ replica }) => {
    const [later, missing = ''] = freshAddresses(2)
    fleet.fake.behave({ kind: 'status', status: 200, body: { [missing]: '' }, paths: ['/batch'] })
    const gate = fleet.fake.hold({ paths: ['/batch'] })
    const asked = fleet.fake.nextCall(isBatch)
    const batch = fleet.ask('/batch', post([missing]))
    await asked
    const [record, city] = ['', '/city'].map((part) => fleet.ask(`/${missing}${part}`, { replica }))
    await fleet.ask(`/${later}`, { replica })
    gate.release()
    expect((await batch).json()).toEqual({ [missing]: '' })
    expect((await record)?.json()).toMatchObject({ ip: missing })
    expect((await city)?.text).toMatch(/^\w.*\n$/)
  })

  test.each([
    { who: 'the same replica', replica: 0 },
    { who: 'another replica', replica: 1 },
  ])('a batch waits for the single query that is one of its items: $who', async ({ replica }) => {
    const items = freshAddresses(5)
    const gate = fleet.fake.hold({ paths: [`/${items[2]}`] })
    const asked = fleet.fake.nextCall()
    const single = fleet.ask(`/${items[2]}`, { replica })
    await asked
    const inBatch = fleet.fake.nextCall(isBatch)
    const batch = fleet.ask('/batch', post(items))
    expect((await inBatch).items).toEqual(items.filter((_, at) => at !== 2))
    gate.release()
    expect(addressesIn(await batch)).toEqual(items)
    expect((await single).status).toBe(200)
    await expectAskedOnce(fleet, items)
  })

  test('share a failure with everyone who waits, and do not repeat it', async () => {
    const items = freshAddresses(5)
    fleet.fake.behave({ kind: 'latency', ms: 2500, paths: ['/batch'] })
    fleet.fake.behave({ kind: 'status', status: 500, paths: ['/batch'] })
    const replies = await Promise.all([0, 1, 2].map((replica) => fleet.ask('/batch', post(items, { replica }))))
    expect(replies.map(({ status }) => status)).toEqual([502, 502, 502])
    expect(fleet.fake.calls.length).toBeLessThanOrEqual(await mostCalls(fleet, 1))
  })

  test('what was asked is kept although the client hung up', async () => {
    const items = freshAddresses(5)
    const gate = fleet.fake.hold({ paths: ['/batch'] })
    const asked = fleet.fake.nextCall(isBatch)
    const replica = fleet.replicas[0]
    const client = request(`${replica?.url}/batch`, { method: 'POST' }).end(JSON.stringify(items))
    client.on('error', () => {})
    await asked
    const closed = new Promise((resolve) => client.once('close', resolve))
    client.destroy()
    await closed
    gate.release()
    expect(cacheStatus(await fleet.ask(`/${items[4]}`, { replica: 1 }))).toMatch(/collapsed|detail=l2/)
    await expectAskedOnce(fleet, items)
  })

  test('the items of a replica that was killed in mid-load are taken over, each by one', async () => {
    const items = freshAddresses(50)
    const gate = fleet.fake.hold({ paths: ['/batch'], times: 1 })
    const asked = fleet.fake.nextCall(isBatch)
    const doomed = await fleet.join()
    const lost = fleet.ask('/batch', post(items, { replica: 3 })).catch(() => 'lost')
    await asked
    const waiting = [0, 1].map((replica) => fleet.ask('/batch', post(items, { replica })))
    const killedMs = performance.now()
    doomed.kill('SIGKILL')
    const replies = await Promise.all(waiting)
    // Waiting for the lost answer would take the 20 s that a request may.
    expect(performance.now() - killedMs).toBeLessThan(15_000)
    expect(replies.map(addressesIn)).toEqual([items, items])
    await expectAskedOnce(fleet, items, { lost: 1 })
    gate.release()
    expect(await lost).toBe('lost')
  })
})

describe('without Redis', () => {
  let away: TestRedis
  let fleet: LocalFleet
  beforeAll(async () => {
    away = await startTestRedis()
    fleet = await startLocalFleet({ redis: away, replicas: 1 })
  })
  afterAll(async () => {
    await fleet.stop()
    await away.stop()
  })

  test('a replica answers batches, asks for each item once, and remembers them', async () => {
    const items = freshAddresses(50)
    await away.stop()
    fleet.fake.behave({ kind: 'latency', ms: 200 })
    const startedMs = performance.now()
    const parts = [items.slice(0, 40), items.slice(20)]
    const replies = await Promise.all(parts.map((part) => fleet.ask('/batch', post(part))))
    expect(performance.now() - startedMs).toBeLessThan(15_000)
    expect(replies.map(addressesIn)).toEqual(parts)
    await expectAskedOnce(fleet, items)
    expect(cacheStatus(await fleet.ask('/batch', post(items)))).toContain('detail=l1')
  })
})

/** Each of the items, and nothing else, was asked of upstream once, and once more for each call that was lost. */
async function expectAskedOnce(fleet: LocalFleet, items: readonly string[], { lost = 0 } = {}): Promise<void> {
  const asked = askedItems(fleet)
  expect(new Set(asked)).toEqual(new Set(items))
  const times = [...Map.groupBy(asked, (item) => item).values()].map(({ length }) => length)
  expect(Math.max(...times)).toBeLessThanOrEqual(lost + (await mostCalls(fleet, 1)))
  expect(Math.min(...times)).toBeGreaterThan(lost)
}
