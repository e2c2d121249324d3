import { expect, test } from '@jest/globals'
import { noUsage, type StoreUsage } from '../jobs/job-figures.ts'
import { StorageQuota } from './storage-quota.ts'

const max = 1000

/** A store of 1000 bytes, of which one client may have 250: `a` has so many, and others the rest of `all`. */
function roomWith(a: number, all: number, maxBytes = max): StorageQuota {
  const usage: StoreUsage = {
    all: { ...noUsage, bytes: all },
    states: { receiving: 0, queued: 0, running: 0, completed: 0, cancelled: 0 },
    byHolder: new Map([['a', { ...noUsage, bytes: a }]]),
  }
  const figures = {
    usage: async () => usage,
    usageOf: async () => ({ own: usage.byHolder.get('a') ?? noUsage, all: usage.all }),
  }
  return new StorageQuota({ figures, maxBytes, maxJobs: 10, sharePercent: 25 })
}

test.each([
  ['under its share, in a store that is nearly full', 249, 999, true],
  ['under its share, in a store that is full', 249, 1000, true],
  ['over its share, with a tenth of the store free', 251, 899, true],
  ['over its share, with less than a tenth free', 251, 900, false],
  ['at its share, with less than a tenth free', 250, 950, false],
])('whether results of a client may grow that is %s', async (_what, own, all, mayGrow) => {
  expect(await roomWith(own, all).mayGrow('a')).toBe(mayGrow)
})

test('without a bound results always grow', async () => {
  expect(await roomWith(5000, 9000, 0).mayGrow('a')).toBe(true)
})
