import { expect, test } from '@jest/globals'
import { codedTag, entityTag, isHeld } from './conditional.ts'

test('the same bytes have the same tag, other bytes and other codings another', () => {
  const body = Buffer.from('{"ip": "8.8.8.8"}')
  const tags = [entityTag(body), entityTag(body, 'gzip'), entityTag(body, 'br'), entityTag(Buffer.from('{}'))]
  expect(new Set(tags).size).toBe(4)
  for (const tag of tags) expect(tag).toMatch(/^"[\w-]{22}(-gzip|-br)?"$/)
  expect(entityTag(Buffer.from(body))).toBe(tags[0])
  expect(codedTag(entityTag(body), 'br')).toBe(entityTag(body, 'br'))
})

test.each([
  { field: '"abc"', held: true },
  { field: 'W/"abc"', held: true },
  { field: '"x", "abc" , "y"', held: true },
  { field: '*', held: true },
  { field: '"ab"', held: false },
  { field: '"abc-gzip"', held: false },
  { field: 'abc', held: false },
  { field: '', held: false },
])('If-None-Match: $field for "abc": $held', ({ field, held }) => {
  expect(isHeld(field, '"abc"')).toBe(held)
})
