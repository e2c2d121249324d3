import { expect, test } from '@jest/globals'
import { isRecord, parseJson } from './json.ts'

test('objects are records; arrays, null and scalars are not', () => {
  expect([{}, { a: 1 }].every(isRecord)).toBe(true)
  expect([[], null, undefined, 'a', 1, () => undefined].some(isRecord)).toBe(false)
})

test('what is no JSON has no value', () => {
  expect(parseJson('{"a":[1]}')).toEqual({ a: [1] })
  expect(parseJson('{"a":')).toBeUndefined()
  expect(parseJson('')).toBeUndefined()
})
