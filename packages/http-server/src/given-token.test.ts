import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { expect, test } from '@jest/globals'
import { givenToken } from './given-token.ts'

function request(url: string, authorization?: string): IncomingMessage {
  const req = new IncomingMessage(new Socket())
  req.url = url
  if (authorization !== undefined) req.headers.authorization = authorization
  return req
}

const basic = (credentials: string): string => `Basic ${Buffer.from(credentials).toString('base64')}`

test.each([
  { how: 'Bearer', url: '/8.8.8.8', field: 'Bearer abc', token: 'abc' },
  { how: 'bearer, in any case', url: '/8.8.8.8', field: 'bEARER  abc', token: 'abc' },
  { how: 'the user name of Basic', url: '/8.8.8.8', field: basic('abc:'), token: 'abc' },
  { how: 'Basic without a colon', url: '/8.8.8.8', field: basic('abc'), token: 'abc' },
  { how: 'the parameter', url: '/8.8.8.8?token=abc', token: 'abc' },
  { how: 'the parameter among others', url: '/batch?filter=1&token=a%2Bc', token: 'a+c' },
  { how: 'the field before the parameter', url: '/8.8.8.8?token=query', field: 'Bearer field', token: 'field' },
  { how: 'the parameter beside an empty Bearer', url: '/8.8.8.8?token=abc', field: 'Bearer ', token: 'abc' },
  { how: 'nothing in an empty Bearer', url: '/8.8.8.8', field: 'Bearer ', token: undefined },
  { how: 'nothing in an empty Basic', url: '/8.8.8.8', field: basic(':password'), token: undefined },
  { how: 'nothing in another scheme', url: '/8.8.8.8', field: 'Digest abc', token: undefined },
  { how: 'nothing in a path', url: '/token=abc', token: undefined },
  { how: 'nothing where there is none', url: '/8.8.8.8?token=', token: undefined },
])('a token is found in $how', ({ url, field, token }) => {
  expect(givenToken(request(url, field))).toBe(token)
})
