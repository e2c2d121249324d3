import { expect, test } from '@jest/globals'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { batchItems } from './batch-items.ts'

test.each([
  ['["8.8.8.8","AS15169"]', ['8.8.8.8', 'AS15169']],
  [' \n["8.8.8.8"]\n', ['8.8.8.8']],
  ['8.8.8.8\nAS15169\n', ['8.8.8.8', 'AS15169']],
  ['8.8.8.8\r\n\r\n  1.1.1.1/city  ', ['8.8.8.8', '1.1.1.1/city']],
  ['["a","a"]', ['a', 'a']],
])('%j is a list', (body, items) => {
  expect(batchItems(Buffer.from(body))).toEqual(items)
})

function refusalOf(body: string | Buffer): string {
  try {
    return JSON.stringify(batchItems(Buffer.from(body)))
  } catch (error) {
    return error instanceof ProxyError ? error.code : String(error)
  }
}

test.each(['', '[]', ' \n ', '["a",', '[1]', '[["a"]]', '[null]', '{"a":1}', '{', '"8.8.8.8"'])(
  '%j is none',
  (body) => {
    expect(refusalOf(body)).toBe('bad_request')
  },
)

test('bytes that are not UTF-8 are none', () => {
  expect(refusalOf(Buffer.from([0x38, 0xff]))).toBe('bad_request')
})

const list = (count: number): string => JSON.stringify(Array(count).fill('a'))

test('a list holds at most 1000 items', () => {
  expect(batchItems(Buffer.from(list(1000)))).toHaveLength(1000)
  expect(refusalOf(list(1001))).toBe('payload_too_large')
})
