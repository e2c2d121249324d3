import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { blockingConnection, queueConnection, type Redis } from '@ipfleet/redis/connection.ts'
import { startTestRedis, type TestRedis } from '@ipfleet/testing/test-redis.ts'
import { until } from '@ipfleet/testing/until.ts'
import { ChunkQueue, type ChunkTask } from '../src/worker/chunk-queue.ts'
import { ChunkWorkers, type TaskOutcome } from '../src/worker/chunk-workers.ts'

const prefix = 'fleet:queue:{bulk}'
let redis: TestRedis
let connection: Redis
let queue: ChunkQueue
const opened: { workers: ChunkWorkers; blocking: Redis }[] = []

beforeEach(async () => {
  redis = await startTestRedis()
  connection = queueConnection({ url: redis.url }, 'test-queue')
  queue = new ChunkQueue(connection, { prefix, attempts: 3, pauseMs: 10 })
})

afterEach(async () => {
  for (const { workers, blocking } of opened.splice(0)) {
    await workers.close(0)
    blocking.disconnect()
  }
  await queue.close()
  connection.disconnect()
  await redis.stop()
})

const done: TaskOutcome = { kind: 'done' }

function worker(
  run: (task: ChunkTask, signal: AbortSignal) => Promise<TaskOutcome>,
  onGivenUp: (task: ChunkTask) => void = () => {},
): ChunkWorkers {
  const blocking = blockingConnection({ url: redis.url }, 'test-worker')
  const workers = new ChunkWorkers({ connection: blocking, prefix, run, onGivenUp })
  opened.push({ workers, blocking })
  workers.start()
  return workers
}

test('chunks go by their numbers, whichever job they are of; one that is added twice is done once', async () => {
  await queue.add('long', [0, 1, 2, 3])
  await queue.add('short', [0, 1])
  await queue.add('long', [2, 3])
  const seen: string[] = []
  worker(async ({ job, index }) => {
    seen.push(`${job} ${index}`)
    return done
  })
  await until(() => seen.length >= 6)
  expect(seen.map((one) => one.at(-1))).toEqual(['0', '0', '1', '1', '2', '3'])
  await until(async () => (await queue.depth()).active === 0)
  expect(await queue.depth()).toEqual({ waiting: 0, active: 0, oldestSeconds: 0 })
})

test('a client with many jobs has its turns, and others have theirs', async () => {
  for (let nth = 1; nth <= 40; nth += 1) await queue.add(`many-${nth}`, [0], nth)
  await queue.add('other', [0, 1, 2])
  const seen: string[] = []
  worker(async ({ job }) => {
    seen.push(job)
    return done
  })
  await until(() => seen.length === 43)
  expect(seen.slice(0, 6).toSorted()).toEqual(['many-1', 'many-2', 'many-3', 'other', 'other', 'other'])
})

test('a client that comes when others are half done begins at once, and its short job does not wait for its long one', async () => {
  await queue.add('theirs', Array.from({ length: 60 }).keys().toArray())
  const seen: string[] = []
  const arrived = Promise.withResolvers<void>()
  worker(async ({ job, index }) => {
    seen.push(job)
    if (job === 'theirs' && index === 30) {
      await queue.add('long', Array.from({ length: 40 }).keys().toArray(), 1)
      await queue.add('short', [0, 1], 2)
      arrived.resolve()
    }
    return done
  })
  await arrived.promise
  await until(() => seen.length === 102)
  const after = seen.slice(31)
  expect(after.indexOf('long')).toBeLessThan(3)
  expect(after.lastIndexOf('short')).toBeLessThan(20)
  // Half of the turns each.
  const half = after.slice(0, 40)
  expect(half.filter((job) => job === 'theirs').length).toBeGreaterThan(12)
  expect(half.filter((job) => job === 'long').length).toBeGreaterThan(12)
})

test('a chunk that is put off comes back, however often', async () => {
  await queue.add('job', [0])
  let turns = 0
  worker(async () => {
    turns += 1
    return turns < 5 ? { kind: 'later', afterMs: 5 } : done
  })
  await until(() => turns === 5)
})

test('a chunk that throws is tried again, and given up in the end, once', async () => {
  await queue.add('job', [0, 1])
  const turns: number[] = []
  const givenUp: ChunkTask[] = []
  worker(
    async ({ index }) => {
      turns.push(index)
      if (index === 0) throw new Error('a fault of ours')
      return done
    },
    (task) => givenUp.push(task),
  )
  await until(() => givenUp.length > 0)
  expect(givenUp).toEqual([{ job: 'job', index: 0 }])
  expect(turns.filter((index) => index === 0)).toHaveLength(3)
})

test('all workers together have no more under way than the fleet may', async () => {
  await queue.limitFleet(3)
  await queue.add('job', Array.from({ length: 40 }).keys().toArray())
  let underWay = 0
  let most = 0
  let ended = 0
  const run = async (): Promise<TaskOutcome> => {
    underWay += 1
    most = Math.max(most, underWay)
    // Until as many are under way as may be.
    await until(() => most >= 3)
    await new Promise((resolve) => setTimeout(resolve, 10))
    underWay -= 1
    ended += 1
    return done
  }
  for (const workers of [worker(run), worker(run)]) workers.concurrency = 10
  await until(() => ended === 40)
  expect(most).toBe(3)
})

test('what is under way when a worker stops is handed back after its grace', async () => {
  await queue.add('job', [0])
  const begun = Promise.withResolvers<void>()
  const stopped = worker(async (_task, signal) => {
    begun.resolve()
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
    return { kind: 'later', afterMs: 0 }
  })
  await begun.promise
  await stopped.close(50)
  let taken = false
  worker(async () => {
    taken = true
    return done
  })
  await until(() => taken)
})
