import { expect, test } from '@jest/globals'
import { ProxyError } from './proxy-error.ts'

test('a client sees status, title and message in the shape of IPinfo', () => {
  expect(JSON.parse(new ProxyError('wrong_ip').body())).toEqual({
    status: 404,
    error: { title: 'Wrong ip', message: 'Please provide a valid IP address' },
  })
})

test('what went wrong inside never reaches the body', () => {
  const error = new ProxyError('upstream_invalid', { detail: 'secret detail', cause: new Error('secret cause') })
  expect(error.body()).not.toContain('secret')
})

test('an unknown failure becomes an internal error that keeps its cause', () => {
  const cause = new TypeError('x is undefined')
  const error = ProxyError.from(cause)
  expect([error.code, error.status, error.cause]).toEqual(['internal', 500, cause])
  expect(error.body()).not.toContain('undefined')
})

test('a ProxyError stays itself', () => {
  const error = new ProxyError('keys_exhausted', { retryAfterSeconds: 7 })
  expect(ProxyError.from(error)).toBe(error)
})
