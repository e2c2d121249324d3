import { expect, test } from '@jest/globals'
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

test.each([
  ['has', [{ ...jobOf('a', 0), id: 'new' }]],
  ['does not have', []],
])('a job counts once that is being stored while all are read, where the reading %s it', async (_what, read) => {
  const store = {
    async *all() {
      yield* read
    },
  }
  const quota = new StorageQuota({ store, maxBytes: max, maxJobs: 10, sharePercent: 25 })
  const stored = Promise.withResolvers<void>()
  const adding = quota.addJob('a', 'new', () => stored.promise)
  expect((await quota.usageOf('a')).own.jobs).toBe(1)
  stored.resolve()
  await adding
  expect((await quota.usageOf('a')).own.jobs).toBe(1)
})
