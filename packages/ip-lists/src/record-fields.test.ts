import { expect, test } from '@jest/globals'
import { unknownFieldIn } from './record-fields.ts'

test.each([
  'ip',
  'city',
  'asn',
  'asn.name',
  'privacy.vpn',
  'geo.city',
  'as.asn',
  'is_hosting',
  'as_name',
  'company.type',
])('%s is a field', (field) => {
  expect(unknownFieldIn(['city', field])).toBeUndefined()
})

test.each([
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  'valueOf',
  'asn.__proto__',
  'asn.constructor.name',
])('%s is none', (field) => {
  expect(unknownFieldIn(['city', field])).toContain(`no record has a field ${field}`)
})

test.each([
  ['citty', 'city'],
  ['contry', 'country'],
  ['hostnme', 'hostname'],
  ['ans.name', 'asn.name'],
])('%s is told to be nearly %s', (field, meant) => {
  expect(unknownFieldIn([field])).toBe(`no record has a field ${field}; did you mean ${meant}?`)
})
