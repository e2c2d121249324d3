import { expect, test } from '@jest/globals'
import { Counts } from './counts.ts'

test('each name is counted by itself, and never below none', () => {
  const counts = new Counts()
  counts.add('a', 3)
  counts.add('b', 1)
  counts.add('a', -1)
  expect([counts.of('a'), counts.of('b'), counts.of('c')]).toEqual([2, 1, 0])
  counts.add('b', -1)
  counts.add('c', -1)
  expect([counts.of('b'), counts.of('c')]).toEqual([0, 0])
})
