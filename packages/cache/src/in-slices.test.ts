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

test('a short list is worked on at once', () => {
  const seen: number[] = []
  void inSlices(Array(sliceLength).fill(7), (one: number) => seen.push(one))
  expect(seen).toHaveLength(sliceLength)
})
