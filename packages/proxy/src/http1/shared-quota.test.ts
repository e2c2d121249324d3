import { expect, test } from '@jest/globals'
import { SharedQuota } from './shared-quota.ts'

const takeAll = (quota: SharedQuota, client: string | undefined): number => {
  let count = 0
  while (quota.take(client) === undefined) count += 1
  return count
}

test('a client gets its share of what the others leave free, and none gets the last place', () => {
  const quota = new SharedQuota({ max: 256, clientSharePercent: 50 })
  expect(['a', 'b', 'c', 'd'].map((client) => takeAll(quota, client))).toEqual([128, 64, 32, 16])
  expect(quota.refusal('a')).toBe('client')
  expect(quota.refusal('e')).toBeUndefined()
})

test('what is released may be taken again', () => {
  const quota = new SharedQuota({ max: 4, clientSharePercent: 50 })
  expect(takeAll(quota, 'a')).toBe(2)
  quota.release('a')
  expect([quota.taken, quota.take('a'), quota.take('a')]).toEqual([1, undefined, 'client'])
})

test.each([
  ['a single place is not divided', { max: 1, clientSharePercent: 50 }, 'a', 1],
  ['with 100 % one client may have all', { max: 10, clientSharePercent: 100 }, 'a', 10],
  ['a holder without a name may have all', { max: 10, clientSharePercent: 50 }, undefined, 10],
  ['without slots there are none', { max: 0, clientSharePercent: 50 }, 'a', 0],
])('%s', (_what, limits, client, count) => {
  const quota = new SharedQuota(limits)
  expect(takeAll(quota, client)).toBe(count)
  expect(quota.taken).toBe(count)
})

test('amounts count as so many slots', () => {
  const bytes = new SharedQuota({ max: 1000, clientSharePercent: 50 })
  expect([bytes.take('a', 400), bytes.take('a', 200), bytes.take('b', 300), bytes.take('b', 400)]).toEqual([
    undefined,
    'client',
    undefined,
    'all',
  ])
})
