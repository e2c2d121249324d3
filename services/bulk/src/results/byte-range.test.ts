import { expect, test } from '@jest/globals'
import { byteRangeIn, spanOf } from './extent.ts'

test.each([
  { field: 'bytes=0-', bytes: 10, span: { first: 0, last: 9 } },
  { field: 'bytes=3-5', bytes: 10, span: { first: 3, last: 5 } },
  { field: 'Bytes = 3 - 5', bytes: 10, span: { first: 3, last: 5 } },
  { field: 'bytes=9-9', bytes: 10, span: { first: 9, last: 9 } },
  { field: 'bytes=9-99', bytes: 10, span: { first: 9, last: 9 } },
  { field: 'bytes=-4', bytes: 10, span: { first: 6, last: 9 } },
  { field: 'bytes=-40', bytes: 10, span: { first: 0, last: 9 } },
  { field: 'bytes=10-', bytes: 10, span: undefined },
  { field: 'bytes=-0', bytes: 10, span: undefined },
  { field: 'bytes=0-', bytes: 0, span: undefined },
  { field: 'bytes=-1', bytes: 0, span: undefined },
])('$field of $bytes bytes', ({ field, bytes, span }) => {
  const range = byteRangeIn(field)
  expect(range).toBeDefined()
  expect(range && spanOf(range, bytes)).toEqual(span)
})

test.each([
  undefined,
  '',
  'bytes',
  'bytes=',
  'bytes=-',
  'bytes=5-4',
  'bytes=1-2,4-5',
  'lines=1-2',
  'bytes=1e3-',
  'bytes=0x1-',
])('%s is ignored', (field) => {
  expect(byteRangeIn(field)).toBeUndefined()
})

test('is read at once, however many blanks are in it', () => {
  const startedMs = performance.now()
  for (const range of ['bytes=|x', 'bytes|x', 'bytes=1|x', 'bytes=|1|-|2|x']) {
    expect(byteRangeIn(range.replaceAll('|', ' '.repeat(15_000)))).toBeUndefined()
  }
  expect(performance.now() - startedMs).toBeLessThan(100)
})
