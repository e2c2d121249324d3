import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import type { Job } from '../jobs/job.ts'
import { StorageQuota } from './storage-quota.ts'

const max = 1000
const jobOf = (holder: string, storedBytes: number): Job => ({ holder, storedBytes, state: 'completed' }) as Job

/** A store of 1000 bytes, of which one client may have 250: `a` has so many, and others the rest of `all`. */
function quotaWith(a: number, all: number, maxBytes = max): StorageQuota {
  const store = {
    async *all() {
      yield* [jobOf('a', a), jobOf('b', all - a)]
    },
  }
  return new StorageQuota({ store, maxBytes, maxJobs: 10, sharePercent: 25 })
}

test.each([
  ['under its share, in a store that is nearly full', 249, 999, true],
  ['under its share, in a store that is full', 249, 1000, true],
  ['over its share, with a tenth of the store free', 251, 899, true],
  ['over its share, with less than a tenth free', 251, 900, false],
  ['at its share, with less than a tenth free', 250, 950, false],
])('whether results of a client may grow that is %s', async (_what, own, all, mayGrow) => {
  expect(await quotaWith(own, all).mayGrow('a')).toBe(mayGrow)
})

test('without a bound results always grow', async () => {
  expect(await quotaWith(5000, 9000, 0).mayGrow('a')).toBe(true)
})

/** Of 20 jobs one client may have 5. */
const quotaOfJobs = (all: () => AsyncGenerator<Job>): StorageQuota =>
  new StorageQuota({ store: { all }, maxBytes: max, maxJobs: 20, sharePercent: 25 })

test.each([
  ['of one client: its share', () => 'a', 5],
  ['of many clients: all that there may be', (at: number) => `client ${at}`, 20],
])('of jobs that wait for one reading as many are taken as there is room, %s', async (_whose, holderOf, room) => {
  const reading = Promise.withResolvers<void>()
  const quota = quotaOfJobs(async function* () {
    await reading.promise
    yield* []
  })
  const open = jest.fn(async () => {})
  const adding = Array.from({ length: 50 }, (_, at) => quota.addJob(holderOf(at), `job ${at}`, open))
  reading.resolve()
  const refused = (await Promise.allSettled(adding)).filter(({ status }) => status === 'rejected')
  expect(open).toHaveBeenCalledTimes(room)
  expect(refused).toHaveLength(50 - room)
  expect(refused).toEqual(
    refused.map(() => ({ status: 'rejected', reason: expect.objectContaining({ code: 'store_full' }) })),
  )
})

describe('when the jobs are read again', () => {
  beforeEach(() => void jest.useFakeTimers())
  afterEach(() => void jest.useRealTimers())

  test.each([
    ['has', [{ ...jobOf('a', 0), id: 'new' }]],
    ['does not have', []],
  ])('a job counts once that is being stored meanwhile, where the reading %s it', async (_what, read) => {
    const jobs: Job[] = []
    const quota = quotaOfJobs(async function* () {
      yield* jobs
    })
    const opening = Promise.withResolvers<void>()
    const stored = Promise.withResolvers<void>()
    const adding = quota.addJob('a', 'new', async () => {
      opening.resolve()
      await stored.promise
    })
    await opening.promise
    jobs.push(...read)
    jest.advanceTimersByTime(1001)
    expect((await quota.usageOf('a')).own.jobs).toBe(1)
    stored.resolve()
    await adding
    expect((await quota.usageOf('a')).own.jobs).toBe(1)
  })

  test('a job counts once that has come just before', async () => {
    const jobs: Job[] = []
    const quota = quotaOfJobs(async function* () {
      await Promise.resolve()
      yield* jobs
    })
    const add = (id: string) => quota.addJob('a', id, async () => void jobs.push({ ...jobOf('a', 0), id }))
    await add('first')
    const before = add('just before')
    jest.advanceTimersByTime(1001)
    await Promise.all([before, quota.usageOf('a')])
    expect((await quota.usageOf('a')).own.jobs).toBe(2)
  })
})
