import { expect, test } from '@jest/globals'
import { nextMaxForwards } from './max-forwards.ts'

test.each([
  ['OPTIONS', '5', { kind: 'pass on', value: '4' }],
  ['TRACE', '1', { kind: 'pass on', value: '0' }],
  ['OPTIONS', '0', { kind: 'answer here' }],
  ['OPTIONS', undefined, { kind: 'pass on', value: undefined }],
  ['OPTIONS', 'many', { kind: 'pass on', value: 'many' }],
  ['GET', '0', { kind: 'pass on', value: '0' }],
])('%s with Max-Forwards: %s', (method, given, expected) => {
  expect(nextMaxForwards(method, given)).toEqual(expected)
})
