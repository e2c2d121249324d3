import { expect, test } from '@jest/globals'
import { SharedPlaces } from './shared-places.ts'

const takeAll = (places: SharedPlaces, client: string | undefined): number => {
  let count = 0
  while (places.take(client) === undefined) count += 1
  return count
}

test('a client gets its share of what the others leave free, and none gets the last place', () => {
  const places = new SharedPlaces({ max: 256, clientSharePercent: 50 })
  expect(['a', 'b', 'c', 'd'].map((client) => takeAll(places, client))).toEqual([128, 64, 32, 16])
  expect(places.refusal('a')).toBe('client')
  expect(places.refusal('e')).toBeUndefined()
})

test('what is released may be taken again', () => {
  const places = new SharedPlaces({ max: 4, clientSharePercent: 50 })
  expect(takeAll(places, 'a')).toBe(2)
  places.release('a')
  expect([places.taken, places.take('a'), places.take('a')]).toEqual([1, undefined, 'client'])
})

test.each([
  ['a single place is not divided', { max: 1, clientSharePercent: 50 }, 'a', 1],
  ['with 100 % one client may have all', { max: 10, clientSharePercent: 100 }, 'a', 10],
  ['a holder without a name may have all', { max: 10, clientSharePercent: 50 }, undefined, 10],
  ['without places there are none', { max: 0, clientSharePercent: 50 }, 'a', 0],
])('%s', (_what, limits, client, count) => {
  const places = new SharedPlaces(limits)
  expect(takeAll(places, client)).toBe(count)
  expect(places.taken).toBe(count)
})

test('amounts count as so many places', () => {
  const bytes = new SharedPlaces({ max: 1000, clientSharePercent: 50 })
  expect([bytes.take('a', 400), bytes.take('a', 200), bytes.take('b', 300), bytes.take('b', 400)]).toEqual([
    undefined,
    'client',
    undefined,
    'all',
  ])
})
