import { expect, test } from '@jest/globals'
import { commandGroups } from './command-groups.ts'

test('a command has so many items at most', () => {
  expect(commandGroups([1, 2, 3, 4, 5], { maxItems: 2 })).toEqual([[1, 2], [3, 4], [5]])
})

test('a command has so many bytes at most, or one item', () => {
  expect(commandGroups([3, 3, 9, 1, 1], { maxItems: 10, maxBytes: 6, bytesOf: Number })).toEqual([[3, 3], [9], [1, 1]])
})

test('on a Cluster a command has items of one bucket', () => {
  expect(commandGroups(['a1', 'b1', 'a2', 'a3', 'b2'], { maxItems: 2, bucketOf: (item) => item.slice(0, 1) })).toEqual([
    ['a1', 'a2'],
    ['b1', 'b2'],
    ['a3'],
  ])
})

test('nothing is no command', () => {
  expect(commandGroups([], { maxItems: 2 })).toEqual([])
})
