import { expect, test } from '@jest/globals'
import { errorCode } from './error-code.ts'

test.each([
  [Object.assign(new Error('no such file'), { code: 'ENOENT' }), 'ENOENT'],
  [{ code: 'ECONNRESET' }, 'ECONNRESET'],
  [new DOMException('too late', 'TimeoutError'), undefined],
  [new Error('ENOENT'), undefined],
  ['ENOENT', undefined],
  [null, undefined],
  [undefined, undefined],
])('the code of %p is %p', (error, code) => {
  expect(errorCode(error)).toBe(code)
})
