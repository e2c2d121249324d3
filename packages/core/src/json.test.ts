import { expect, test } from '@jest/globals'
import { isRecord, parseJson, parseJsonExactly } from './json.ts'

test('objects are records; arrays, null and scalars are not', () => {
  expect([{}, { a: 1 }].every(isRecord)).toBe(true)
  expect([[], null, undefined, 'a', 1, () => undefined].some(isRecord)).toBe(false)
})

test('what is no JSON has no value', () => {
  expect(parseJson('{"a":[1]}')).toEqual({ a: [1] })
  expect(parseJson('{"a":')).toBeUndefined()
  expect(parseJson('')).toBeUndefined()
})

test.each([
  '{"a":12345678901234567890}',
  '[1e400,-0.12345678901234567]',
  '{"a":{"b":"1234567890123456"}}',
  '[1,"a",null]',
])('%s is written as it was read', (text) => {
  expect(JSON.stringify(parseJsonExactly(text))).toBe(text)
})

test('a number that a double holds is a number', () => {
  expect(parseJsonExactly('{"a":9007199254740991,"b":1}')).toEqual({ a: 9007199254740991, b: 1 })
})
