import { expect, test } from '@jest/globals'
import { packedValues } from './packed-values.ts'

const unpacked = ({ sizes, bytes }: ReturnType<typeof packedValues>): Buffer[] => {
  const all = Buffer.from(bytes)
  let from = 0
  return (JSON.parse(sizes) as number[]).map((size) => all.subarray(from, (from += size)))
}

test.each([
  ['text', ['a', 'São Paulo 😀', '']],
  ['bytes', ['a', Buffer.from([0xff, 0, 0xc3]), 'é']],
  ['nothing', []],
])('%s is cut apart again by sizes in bytes', (_what, values: (string | Buffer)[]) => {
  const buffers = values.map((value) => Buffer.from(value))
  expect(unpacked(packedValues(buffers))).toEqual(buffers)
})

test('text is sent as text, which costs less; anything else as it is', () => {
  expect(typeof packedValues([Buffer.from('é')]).bytes).toBe('string')
  expect(typeof packedValues([Buffer.from([0xff])]).bytes).toBe('object')
  // Two halves of a character make sense together.
  expect(packedValues([Buffer.from([0xc3]), Buffer.from([0xa9])])).toEqual({ sizes: '[1,1]', bytes: 'é' })
})
