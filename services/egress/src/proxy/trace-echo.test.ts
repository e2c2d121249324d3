import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { expect, test } from '@jest/globals'
import { traceEcho } from './trace-echo.ts'

test('the request comes back as it was, but for its secrets', () => {
  const rawHeaders = [
    'Host',
    'a',
    'X-A',
    '1',
    'x-a',
    '2',
    'COOKIE',
    'a=b',
    'Authorization',
    'x',
    'proxy-authorization',
    'y',
  ]
  const req = Object.assign(new IncomingMessage(new Socket()), {
    method: 'TRACE',
    url: 'http://a/?b',
    httpVersion: '1.0',
    rawHeaders,
  })
  expect(traceEcho(req)).toBe('TRACE http://a/?b HTTP/1.0\r\nHost: a\r\nX-A: 1\r\nx-a: 2\r\n\r\n')
})
