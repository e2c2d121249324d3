import { expect, jest, test } from '@jest/globals'
import { inputsOf } from './input-bodies.fixture.ts'
import { memberAt } from './json-inputs.ts'

const form = { kind: 'json', column: 'ip' } as const

test('the address is in the member that is asked for, and nowhere else', async () => {
  const body = '[{"src":"1.1.1.1","ip":"2.2.2.2"},{"ip":"2.2.2.2"},{"src":{"src":"3.3.3.3"}}]'
  expect(await inputsOf(body, { kind: 'json', column: 'src' })).toEqual([
    '1.1.1.1',
    '{"ip":"2.2.2.2"}',
    '{"src":{"src":"3.3.3.3"}}',
  ])
  expect(await inputsOf('[{"a":1}]', { kind: 'json', column: '__proto__' })).toEqual(['{"a":1}'])
})

test('the path of a member may lead into a list, as that of a field does', async () => {
  const body = '[{"hops":["1.1.1.1","2.2.2.2"]},{"hops":[]}]'
  expect(await inputsOf(body, { kind: 'json', column: 'hops.1' })).toEqual(['2.2.2.2', '{"hops":[]}'])
  expect(await inputsOf('[["1.1.1.1","x"]]', { kind: 'json', column: '1' })).toEqual(['["1.1.1.1","x"]'])
})

test('a path ends at the first part that is not there, however long it is', () => {
  const hasOwn = jest.spyOn(Object, 'hasOwn')
  expect(memberAt({ a: {} }, `a.${'b.'.repeat(1000)}c`)).toBeUndefined()
  expect(hasOwn.mock.calls.length).toBeLessThan(5)
  hasOwn.mockRestore()
})

test.each(['{"ips":["1.1.1.1"]}', '"1.1.1.1"', '1.1.1.1\n2.2.2.2', 'null'])(
  '%s is no array, and the answer says what to send',
  async (body) => {
    await expect(inputsOf(body, form)).rejects.toMatchObject({
      status: 400,
      message: expect.stringContaining('has to be one array'),
    })
  },
)

test.each([
  ['["1.1.1.1"', 'it ends after 0 elements, and the array goes on'],
  ['["1.1.1.1","2.2', 'it ends after 1 elements, and the array goes on'],
  ['["1.1.1.1",]', 'element 2 of the array, after 11 bytes, is no JSON'],
  ['[,"1.1.1.1"]', 'element 1 of the array, after 1 bytes, is no JSON'],
  ['["1.1.1.1" "2.2.2.2"]', 'element 1 of the array, after 1 bytes, is no JSON'],
  ['["1.1.1.1"x]', 'element 1 of the array, after 1 bytes, is no JSON'],
  ['[ "a\\x"]', 'element 1 of the array, after 2 bytes, is no JSON'],
  ['["a\nb"]', 'element 1 of the array, after 1 bytes, is no JSON'],
  ['[1, {"ip":"1.1.1.1"]]', 'element 2 of the array, after 4 bytes, is no JSON'],
  ["['1.1.1.1']", 'element 1 of the array, after 1 bytes, is no JSON'],
  ['[1.1.1.1]', 'element 1 of the array, after 1 bytes, is no JSON'],
  ['["1.1.1.1"}]', 'there is a } too many after 10 bytes'],
  ['["1.1.1.1"] ["2.2.2.2"]', 'something follows the array after 12 bytes'],
  [`[${'['.repeat(65)}`, 'element 1 is nested over 64 deep'],
])('%s is broken JSON, and the answer says where', async (body, how) => {
  for (const size of [1, 3, body.length]) {
    await expect(inputsOf(body, form, { size })).rejects.toMatchObject({
      status: 400,
      message: `The JSON is broken: ${how}`,
    })
  }
})

test('an element may be 65536 bytes long and no longer, however it comes', async () => {
  const longest = 'x'.repeat(65_534)
  for (const size of [1000, 65_536, 200_000]) {
    expect(await inputsOf(`[1, "${longest}" ,2]`, form, { size })).toEqual(['1', longest, '2'])
    await expect(inputsOf(`[1, "${longest}x" ,2]`, form, { size })).rejects.toMatchObject({
      status: 413,
      message: 'Element 2 of the array is over 65536 bytes',
    })
  }
})

test('elements keep their order and number over many pieces', async () => {
  const values = Array.from({ length: 20_000 }, (_, index) => {
    const ip = `10.0.${index >> 8}.${index & 255}`
    return index % 2 === 0 ? ip : { n: index, ip }
  })
  const expected = values.map((value) => (typeof value === 'string' ? value : value.ip))
  expect(await inputsOf(JSON.stringify(values, null, 1), form, { size: 70_001 })).toEqual(expected)
})
