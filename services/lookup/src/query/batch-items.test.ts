import { describe, expect, test } from '@jest/globals'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { batchForm, batchItems, readItem } from './batch-items.ts'
import { parseTarget } from './query.ts'

const read = (item: string, prefix = ''): string => {
  const one = readItem(item, prefix, () => '192.0.2.7')
  return one.kind === 'query' ? one.query.target : one.error.code
}

describe('the path of a batch', () => {
  test.each([
    ['/batch', '', false],
    ['/batch/', '', false],
    ['/batch?token=a', '', false],
    ['/batch?filter=1', '', true],
    ['/batch&filter=1', '', true],
    ['/batch/lite&filter=1', 'lite/', true],
    ['/batch?filter=0&filter=1', '', false],
    ['/batch/lite', 'lite/', false],
    ['/batch/legacy?filter=1', '', true],
  ])('%s has the prefix %j and drops what is empty: %s', (target, prefix, dropsEmpty) => {
    expect(batchForm(target)).toEqual({ prefix, dropsEmpty })
  })

  test.each(['/batch/plus', '/batch/lite/8.8.8.8', '/batches', '/batch//lite'])('is not %s', (target) => {
    expect(() => batchForm(target)).toThrow(expect.objectContaining({ code: 'not_found' }))
  })
})

test.each(['8.8.8.8', '255.255.255.255', '0.0.0.0'])('the address %s is the query that its path is', (address) => {
  for (const prefix of ['', 'lite/']) {
    const parsed = parseTarget(`/${prefix}${address}`)
    expect(readItem(address, prefix, () => '192.0.2.7')).toEqual(parsed)
  }
})

describe('an item', () => {
  test.each([
    ['8.8.8.8', '/8.8.8.8'],
    ['/8.8.8.8/json', '/8.8.8.8'],
    ['8.8.8.8/city', '/8.8.8.8/city'],
    ['as15169', '/AS15169'],
    ['2001:4860:4860:0::8888', '/2001:4860:4860::8888'],
    ['lookup/8.8.8.8/geo', '/lookup/8.8.8.8/geo'],
    ['8.8.8.8?token=secret', '/8.8.8.8'],
    ['lite/me', '/lite/192.0.2.7'],
    ['city', '/192.0.2.7/city'],
    ['', '/192.0.2.7'],
  ])('%j asks %s', (item, target) => {
    expect(read(item)).toBe(target)
  })

  test('of a Lite batch is about Lite', () => {
    expect(read('8.8.8.8/country', 'lite/')).toBe('/lite/8.8.8.8/country')
    expect(read('/8.8.8.8', 'lite/')).toBe('/lite/8.8.8.8')
  })

  test.each([
    ['1.1.1.1/24', 'wrong_ip'],
    ['lite/1.1', 'wrong_product_ip'],
    ['%ZZ', 'bad_request'],
    ['..', 'bad_request'],
    ['a\u0000b', 'bad_request'],
    ['\ud800', 'bad_request'],
    ['me', 'wrong_ip'],
    ['x'.repeat(2049), 'uri_too_long'],
  ])('%j is an error of its own: %s', (item, code) => {
    expect(read(item)).toBe(code)
  })
})

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

test.each(['', '[]', ' \n ', '["a",', '[1]', '[["a"]]', '[null]', '{"a":1}', '{', '"8.8.8.8"', 'null', 'true\n'])(
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
