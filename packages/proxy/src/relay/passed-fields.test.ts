import { expect, test } from '@jest/globals'
import type { AnswerHead } from '../http1/exchange-types.ts'
import { passedFields } from './passed-fields.ts'

const fields = ['X-Ours', 'a', 'TRAILER', 'X-Sum', 'x-ours', 'b', 'X-Kept', 'c', 'Trailer', 'X-Two', 'X-Other', 'd']
const headWith = (framing: AnswerHead['framing'], of = fields): AnswerHead => ({
  status: 200,
  reason: 'OK',
  version: '1.1',
  fields: of,
  framing,
  upgrade: undefined,
})

test('what is this hop’s to say is left out, in any letter case', () => {
  const announcing = ['TRAILER', 'X-Sum', 'X-Kept', 'c', 'Trailer', 'X-Two', 'X-Other', 'd']
  expect(passedFields(headWith('chunked'), '1.1', 'x-ours')).toEqual(announcing)
})

test.each([
  [10, '1.1'],
  ['none', '1.1'],
  ['until-close', '1.1'],
  ['chunked', '1.0'],
] as const)('trailers are not announced where none can follow: %s to HTTP/%s', (framing, version) => {
  expect(passedFields(headWith(framing), version, 'x-ours')).toEqual(['X-Kept', 'c', 'X-Other', 'd'])
})

test('what only a proxy says to its own client is left out', () => {
  const asked = ['Proxy-Authenticate', 'Basic realm="x"', 'X-Kept', 'c', 'proxy-authentication-info', 'd']
  expect(passedFields(headWith(10, asked), '1.1', 'x-ours')).toEqual(['X-Kept', 'c'])
})

test('a list of which all is passed is passed as it is', () => {
  const all = ['X-Kept', 'c', 'X-Other', 'd']
  expect(passedFields(headWith(10, all), '1.1', 'x-ours')).toBe(all)
})
