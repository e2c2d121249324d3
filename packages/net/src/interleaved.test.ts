import { expect, test } from '@jest/globals'
import { interleaved } from './interleaved.ts'
import { targetAddress } from './target.ts'

test.each([
  [
    ['2001:db8::1', '2001:db8::2', '2001:db8::3', '192.0.2.1', '192.0.2.2'],
    ['2001:db8::1', '192.0.2.1', '2001:db8::2', '192.0.2.2', '2001:db8::3'],
  ],
  [
    ['192.0.2.1', '192.0.2.2', '2001:db8::1'],
    ['192.0.2.1', '2001:db8::1', '192.0.2.2'],
  ],
  [['192.0.2.1'], ['192.0.2.1']],
  [[], []],
])('%j are tried in the order %j', (given, order) => {
  expect(interleaved(given.map(targetAddress)).map(({ address }) => address)).toEqual(order)
})
