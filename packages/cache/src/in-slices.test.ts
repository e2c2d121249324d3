import { expect, test } from '@jest/globals'
import { inSlices, sliceLength } from './in-slices.ts'

test('all are worked on in their order, and others get their turn in between', async () => {
  const all = Array.from({ length: 3 * sliceLength + 1 }, (_, at) => at)
  const seen: (number | 'other')[] = []
  const other = (): void => {
    seen.push('other')
    if (seen.filter((one) => one !== 'other').length < all.length) setImmediate(other)
  }
  setImmediate(other)
  await inSlices(all, (one, at) => {
    expect(one).toBe(at)
    seen.push(one)
  })
  expect(seen.filter((one) => one !== 'other')).toEqual(all)
  const longest = Math.max(
    ...seen
      .join()
      .split('other')
      .map((run) => run.split(',').filter(Boolean).length),
  )
  expect(longest).toBe(sliceLength)
})

test('each turn of the event loop has one slice, however many lists are worked on', async () => {
  const lists = Array.from({ length: 4 }, () => Array<number>(2 * sliceLength).fill(7))
  const lengths: number[] = []
  let length = 0
  const all = Promise.all(lists.map((list) => inSlices(list, () => void (length += 1))))
  const measure = (): void => {
    lengths.push(length)
    length = 0
    if (lengths.reduce((sum, one) => sum + one) < lists.flat().length) setImmediate(measure)
  }
  setImmediate(measure)
  await all
  expect(Math.max(...lengths)).toBe(sliceLength)
})

test('a short list is worked on at once', () => {
  const seen: number[] = []
  void inSlices(Array(sliceLength).fill(7), (one: number) => seen.push(one))
  expect(seen).toHaveLength(sliceLength)
})
