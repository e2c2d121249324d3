import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { IpSummary } from '@ipfleet/ip-lists/ip-summary.ts'
import type { SummedResult } from '../src/jobs/job.ts'
import { queueConnection, type Redis } from '@ipfleet/redis/connection.ts'
import { RedisLink } from '@ipfleet/redis/redis-link.ts'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { JobNames } from '../src/jobs/job-keys.ts'
import { JobStore } from '../src/jobs/job-store.ts'
import { ChunkQueue } from '../src/worker/chunk-queue.ts'
import { Sweeper } from '../src/worker/sweeper.ts'

const owner = 'everyone'
let redis: TestRedis
let link: RedisLink
let store: JobStore

beforeAll(async () => {
  redis = await startTestRedis()
  link = new RedisLink({ url: redis.url, name: 'test', timeoutMs: 5000 })
  if (!link.up) await once(link, 'up')
  store = new JobStore(link, { resultTtlMs: 60_000 })
})

afterAll(async () => {
  link.close()
  await redis.stop()
})

const resultOf = (text: string, lines = 1): SummedResult => ({
  summary: new IpSummary().toPart(),
  body: Buffer.from(text),
  lines,
  answered: lines,
  cached: 0,
  errors: {},
})

/** A sealed job with a chunk for each list of inputs. */
const sealed = (...chunks: readonly (readonly string[])[]): Promise<string> => sealedOf(owner, chunks)

async function sealedOf(of: string, chunks: readonly (readonly string[])[] = [['8.8.8.8']]): Promise<string> {
  const id = await store.open({ owner: of })
  for (const [index, inputs] of chunks.entries()) await store.add(id, index, inputs)
  await store.seal(id, of, 'print')
  return id
}

describe('a job', () => {
  test('is not there until all of its body is', async () => {
    const id = await store.open({ owner, fields: ['city'], callback: 'https://example.com/hook' })
    await store.add(id, 0, ['8.8.8.8', 'x'])
    expect(await store.read(id)).toBeUndefined()
    expect(await store.isReceiving(id)).toBe(true)
    expect(await store.seal(id, owner, 'print')).toMatchObject({
      state: 'queued',
      lines: { total: 2, done: 0 },
      fields: ['city'],
      callback: { url: 'https://example.com/hook', state: 'waiting', attempts: 0 },
      fingerprint: 'print',
    })
  })

  test('adds a chunk once, however often that is tried', async () => {
    const id = await store.open({ owner })
    await store.add(id, 0, ['8.8.8.8'])
    await store.add(id, 0, ['8.8.8.8'])
    expect(await store.seal(id, owner, '')).toMatchObject({ lines: { total: 1 }, chunks: { total: 1 } })
  })

  test('gives its inputs as they were, and runs from the first that is taken', async () => {
    const inputs = ['8.8.8.8', ' ünïcode "quoted"', '']
    const id = await sealed(inputs)
    expect(await store.begin(id, 0)).toEqual({ kind: 'inputs', inputs, owner, holder: owner })
    expect(await store.read(id)).toMatchObject({ state: 'running' })
  })

  test('keeps the first results of a chunk and counts them once', async () => {
    const id = await sealed(['a'], ['b'])
    await store.begin(id, 0)
    expect(await store.finish(id, 0, resultOf('first\n'))).toBe('stored')
    expect(await store.finish(id, 0, resultOf('second\n'))).toBe('known')
    expect(String((await store.results(id, [0]))[0])).toBe('first\n')
    expect(await store.read(id)).toMatchObject({ lines: { done: 1, answered: 1 }, chunks: { done: 1 } })
    expect(await store.begin(id, 0)).toEqual({ kind: 'finished' })
  })

  test('is completed by its last chunk, whichever that is, and says where each stands', async () => {
    const id = await sealed(['a', 'b'], ['c'])
    await store.begin(id, 1)
    await store.finish(id, 1, { ...resultOf('c\n'), answered: 0, errors: { wrong_ip: 1 } })
    expect(await store.extents(id)).toEqual([
      { index: 0, lines: 2, bytes: undefined },
      { index: 1, lines: 1, bytes: 2 },
    ])
    expect(await store.finish(id, 0, resultOf('a\nb\n', 2))).toBe('completed')
    expect(await store.read(id)).toMatchObject({
      state: 'completed',
      lines: { total: 3, done: 3, answered: 2, errors: 1 },
      errors: { wrong_ip: 1 },
    })
  })

  test('that is cancelled takes no more results, and keeps those that it has', async () => {
    const id = await sealed(['a'], ['b'])
    await store.begin(id, 0)
    await store.finish(id, 0, resultOf('a\n'))
    expect(await store.cancel(id)).toBe(true)
    expect(await store.cancel(id)).toBe(false)
    expect(await store.begin(id, 1)).toEqual({ kind: 'gone' })
    expect(await store.finish(id, 1, resultOf('b\n'))).toBe('gone')
    expect(String((await store.results(id, [0]))[0])).toBe('a\n')
  })

  test('leaves nothing when it is removed, and lives no longer than it has to at any time', async () => {
    const id = await sealed(['a'], ['b'])
    await store.begin(id, 0)
    await store.finish(id, 0, resultOf('a\n'))
    const ttls = (): Promise<number[]> =>
      link.run((client) =>
        Promise.all(Object.values(new JobNames(link.names).keysOf(id)).map((key) => client.pttl(key))),
      )
    for (const ttlMs of await ttls()) expect(ttlMs).toBeGreaterThan(86_400_000)
    await store.finish(id, 1, resultOf('b\n'))
    // The inputs are gone already.
    for (const ttlMs of await ttls()) expect(ttlMs).toBeLessThanOrEqual(60_000)
    await store.remove(id, owner)
    expect(new Set(await ttls())).toEqual(new Set([-2]))
  })

  test('is forgotten a minute after its process has died, and never while its body comes in', async () => {
    const id = await store.open({ owner })
    await store.add(id, 0, ['8.8.8.8'])
    const { job, inputs, chunks } = new JobNames(link.names).keysOf(id)
    const ttls = (): Promise<number[]> =>
      link.run((client) => Promise.all([job, inputs, chunks].map((key) => client.pttl(key))))
    expect(Math.max(...(await ttls()))).toBeLessThanOrEqual(60_000)
    await link.run((client) => Promise.all([job, inputs, chunks].map((key) => client.pexpire(key, 20_000))))
    await store.keepReceiving(id)
    expect(Math.min(...(await ttls()))).toBeGreaterThan(20_000)
    await store.seal(id, owner, '')
    await store.keepReceiving(id)
    // Keys may be out of quota for a month.
    expect(Math.min(...(await ttls()))).toBeGreaterThan(31 * 86_400_000)
  })

  test('says what it takes, less and more', async () => {
    const id = await sealed(['a'.repeat(500)])
    const before = (await store.read(id))?.storedBytes ?? 0
    expect(before).toBeGreaterThan(0)
    await store.begin(id, 0)
    await store.finish(id, 0, resultOf('x\n'))
    const { results, summaries } = new JobNames(link.names).keysOf(id)
    const after = await link.run((client) =>
      Promise.all([client.hstrlen(results, '0'), client.hstrlen(summaries, '0')]),
    )
    expect((await store.read(id))?.storedBytes).toBe(after[0] + after[1])
  })
})

test('jobs are listed newest first, page after page, without those that have expired, each owner by itself', async () => {
  const ids: string[] = []
  for (let count = 0; count < 5; count += 1) ids.unshift(await sealedOf('someone'))
  const [first, second, lost, ...rest] = ids as [string, string, string, ...string[]]
  await link.run((client) => client.del(new JobNames(link.names).keysOf(lost).job))
  const page = await store.list('someone', 3)
  expect(page.map(({ id }) => id)).toEqual([first, second, rest[0]])
  const next = await store.list('someone', 3, page.at(-1)?.id)
  expect(next.map(({ id }) => id)).toEqual([rest[1]])
  expect(await store.list('nobody', 3)).toEqual([])
})

test('the list of an owner that nobody reads loses what has expired', async () => {
  const names = new JobNames(link.names)
  const old = [await sealedOf('silent'), await sealedOf('silent')]
  await link.run((client) => Promise.all(old.map((id) => client.del(names.keysOf(id).job))))
  const kept = await sealedOf('silent')
  expect(await link.run((client) => client.zrange(names.ofOwner('silent'), '0', '-1'))).toEqual([kept])
})

async function recordsRead(): Promise<number> {
  const stats = await link.run((client) => client.info('commandstats'))
  return Number(/^cmdstat_hgetall:calls=(\d+)/m.exec(stats)?.[1] ?? 0)
}

test('listing jobs costs as much whether or not an owner sends lists that never end', async () => {
  const id = await sealedOf('flooded')
  for (let count = 0; count < 50; count += 1) await store.open({ owner: 'flooded' })
  const before = await recordsRead()
  expect((await store.list('flooded', 2)).map((job) => job.id)).toEqual([id])
  expect((await recordsRead()) - before).toBe(1)
  expect((await Array.fromAsync(store.all())).filter((job) => job.owner === 'flooded')).toHaveLength(51)
})

describe('the sweeper', () => {
  let connection: Redis
  let queue: ChunkQueue

  beforeAll(() => {
    connection = queueConnection({ url: redis.url }, 'test-queue')
    queue = new ChunkQueue(connection, { prefix: 'test' })
  })

  afterAll(async () => {
    await queue.close()
    connection.disconnect()
  })

  test('queues what the process that took a job did not live to queue, and no more', async () => {
    const id = await sealed(['a'], ['b'], ['c'])
    await queue.add(id, [0])
    await store.begin(id, 1)
    await store.finish(id, 1, resultOf('b\n'))
    const repaired: [string, number][] = []
    const told: string[] = []
    const sweeper = new Sweeper({
      store,
      queue,
      notifyEnd: async (job) => void told.push(job),
      onRepaired: (job, chunks) => repaired.push([job, chunks]),
    })
    await sweeper.sweep()
    expect(repaired.filter(([job]) => job === id)).toEqual([[id, 2]])
    expect(await queue.has({ job: id, index: 0 })).toBe(true)
    expect(await queue.has({ job: id, index: 1 })).toBe(false)
    expect(await queue.has({ job: id, index: 2 })).toBe(true)
    repaired.length = 0
    await sweeper.sweep()
    expect(repaired).toEqual([])
  })

  test('sees to it that the end of a job is told', async () => {
    const id = await store.open({ owner, callback: 'https://example.com/hook' })
    await store.add(id, 0, ['8.8.8.8'])
    await store.seal(id, owner, '')
    await store.finish(id, 0, resultOf('x\n'))
    const told: string[] = []
    const sweeper = new Sweeper({ store, queue, notifyEnd: async (job) => void told.push(job), onRepaired: () => {} })
    await sweeper.sweep()
    expect(told).toContain(id)
    await store.noteCallback(id, 'delivered', 1)
    told.length = 0
    await sweeper.sweep()
    expect(told).not.toContain(id)
  })
})
