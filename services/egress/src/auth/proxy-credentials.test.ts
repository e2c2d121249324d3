import { expect, test } from '@jest/globals'
import { readProxyCredentials } from './proxy-credentials.ts'

const basic = (text: string | Uint8Array) => `Basic ${Buffer.from(text).toString('base64')}`

test.each([
  [basic('test:secret123'), 'test', 'secret123'],
  [basic('test:secret:with:colons'), 'test', 'secret:with:colons'],
  [basic('für:größer ☃'), 'für', 'größer ☃'],
  [basic(Buffer.from('f\xfcr:gr\xf6\xdfer', 'latin1')), 'für', 'größer'],
  [basic(':'), '', ''],
  [basic('user-session-a:'), 'user-session-a', ''],
  [basic('test:secret123').replace('Basic', 'bAsIc'), 'test', 'secret123'],
  [basic('test:secret123').replace(' ', '   '), 'test', 'secret123'],
  // The examples of RFC 7617 §2 and §2.1.
  ['Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==', 'Aladdin', 'open sesame'],
  ['Basic dGVzdDoxMjPCow==', 'test', '123£'],
])('%s is %s and %s', (field, user, password) => {
  expect(readProxyCredentials(field)).toEqual({ user, password })
})

test.each([
  ['nothing', ''],
  ['no token', 'Basic '],
  ['only the scheme', 'Basic'],
  ['another scheme', basic('test:secret').replace('Basic', 'Bearer')],
  ['no scheme', basic('test:secret').replace('Basic ', '')],
  ['no space', basic('test:secret').replace(' ', '')],
  ['a tab', basic('test:secret').replace(' ', '\t')],
  ['something behind', `${basic('test:secret')} x`],
  ['two values', `${basic('test:secret')}, ${basic('test:secret')}`],
  ['no colon', basic('test')],
  ['no padding', basic('test:secret12').replaceAll('=', '')],
  ['too much padding', `${basic('test:secret12')}==`],
  ['padding in the middle', 'Basic dGVzdA==OnNlY3JldA=='],
  ['bits in the padding', basic('test:12345').replace('NQ==', 'NR==')],
  ['the alphabet of URLs', 'Basic YTo_Pz8-'],
  ['no base64', 'Basic test:secret'],
  ['NUL', basic('test\0:secret')],
  ['a line end', basic('test:secret\n')],
  ['DEL', basic('te\u007fst:secret')],
])('%s is none: %j', (_, field) => {
  expect(readProxyCredentials(field)).toBeUndefined()
})
