import { expect, test } from '@jest/globals'
import type { Job, JobState, ChunkExtent } from '../jobs/job.ts'
import { cutOut, indicesOf, readyChunks, startAfterLines } from './extent.ts'

const job = (state: JobState, total: number, done: number): Job => ({ state, chunks: { total, done } }) as Job
const chunk = (index: number, bytes?: number): ChunkExtent => ({ index, lines: 10, bytes })
const three = [chunk(0, 100), chunk(1, 50), chunk(2, 200)].map((one) => ({ ...one, bytes: one.bytes ?? 0 }))

test.each([
  { state: 'running', bytes: [1, undefined, 1], ready: [0] },
  { state: 'running', bytes: [undefined, 1, 1], ready: [] },
  { state: 'running', bytes: [1, 1, 1], ready: [0, 1, 2] },
  { state: 'cancelled', bytes: [1, undefined, 1], ready: [0, 2] },
  { state: 'completed', bytes: [1, 1, 1], ready: [0, 1, 2] },
] as const)('of a job that is $state with chunks $bytes: $ready', ({ state, bytes, ready }) => {
  const chunks = bytes.map((length, index) => chunk(index, length))
  expect(indicesOf(readyChunks(job(state, chunks.length, 0), chunks))).toEqual(ready)
})

test.each([
  { state: 'running', total: 2, done: 0, chunks: [] },
  { state: 'completed', total: 2, done: 2, chunks: [] },
  { state: 'completed', total: 2, done: 2, chunks: [chunk(0), chunk(1)] },
  { state: 'cancelled', total: 2, done: 1, chunks: [chunk(0), chunk(1)] },
] as const)(
  'a job that is $state and of which the results have expired is not there',
  ({ state, total, done, chunks }) => {
    expect(() => readyChunks(job(state, total, done), chunks)).toThrow('nothing')
  },
)

test.each([
  { lines: 0, start: { from: 0, skip: 0 } },
  { lines: 9, start: { from: 0, skip: 9 } },
  { lines: 10, start: { from: 1, skip: 0 } },
  { lines: 25, start: { from: 2, skip: 5 } },
  { lines: 30, start: { from: 3, skip: 0 } },
  { lines: 99, start: { from: 3, skip: 0 } },
])('after $lines lines', ({ lines, start }) => {
  expect(startAfterLines(three, lines)).toEqual(start)
})

test.each([
  { first: 0, last: 349, indices: [0, 1, 2], skip: 0 },
  { first: 0, last: 99, indices: [0], skip: 0 },
  { first: 99, last: 100, indices: [0, 1], skip: 99 },
  { first: 100, last: 149, indices: [1], skip: 0 },
  { first: 120, last: 120, indices: [1], skip: 20 },
  { first: 149, last: 150, indices: [1, 2], skip: 49 },
  { first: 349, last: 349, indices: [2], skip: 199 },
])('the chunks of bytes $first to $last', ({ first, last, indices, skip }) => {
  const cut = cutOut(three, { first, last })
  expect([indicesOf(cut.chunks), cut.skip]).toEqual([indices, skip])
})
