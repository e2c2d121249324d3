import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { describe, expect, test } from '@jest/globals'
import { ForwardedHeaders } from '@ipfleet/proxy/forwarded-headers.ts'
import type { Target } from '@ipfleet/net/target.ts'
import { type Disclosure, forwardHead, traceEcho } from './forward-head.ts'

const nothing: Disclosure = { forwardedFor: false, realIp: false, via: false }
const everything: Disclosure = { forwardedFor: true, realIp: true, via: true }
const toName: Target = { host: 'example.com', port: 80, isAddress: false }

function headOf({
  line = {},
  target = toName,
  raw = [],
  disclosure = nothing,
}: {
  line?: {
    readonly method?: string
    readonly path?: string
    readonly httpVersion?: string
    readonly maxForwards?: string
  }
  target?: Target
  raw?: readonly string[]
  disclosure?: Disclosure
}): string {
  const { method = 'GET', path = '/', httpVersion = '1.1', maxForwards } = line
  const fields = Object.assign(new ForwardedHeaders(raw), { maxForwards })
  return forwardHead({ method, path, fields, client: '192.0.2.7', traceLines: '' }, target, httpVersion, disclosure)
}

test.each<[Target, string]>([
  [toName, 'example.com'],
  [{ ...toName, port: 8080 }, 'example.com:8080'],
  [{ ...toName, port: 8 }, 'example.com:8'],
  [{ ...toName, port: 18_080 }, 'example.com:18080'],
  [{ host: '192.0.2.1', port: 80, isAddress: true }, '192.0.2.1'],
  [{ host: '2001:db8::1', port: 80, isAddress: true }, '[2001:db8::1]'],
  [{ host: '2001:db8::80', port: 80, isAddress: true }, '[2001:db8::80]'],
  [{ host: '2001:db8::1', port: 443, isAddress: true }, '[2001:db8::1]:443'],
])('Host is that of %j, without the port that is meant anyway', (target, host) => {
  expect(headOf({ target })).toBe(`GET / HTTP/1.1\r\nHost: ${host}\r\n`)
})

test.each([
  ['GET', '', '/'],
  ['OPTIONS', '', '*'],
  ['OPTIONS', '/', '/'],
  ['OPTIONS', '?a', '/?a'],
  ['GET', '?a', '/?a'],
  ['GET', '//a?b', '//a?b'],
])('%s with %j is in origin-form %j', (method, path, origin) => {
  expect(headOf({ line: { method, path } })).toBe(`${method} ${origin} HTTP/1.1\r\nHost: example.com\r\n`)
})

describe('what is told of the client', () => {
  test('is its address twice, and this proxy', () => {
    expect(headOf({ disclosure: everything })).toBe(
      'GET / HTTP/1.1\r\nHost: example.com\r\n' +
        'X-Forwarded-For: 192.0.2.7\r\nX-Real-IP: 192.0.2.7\r\nVia: 1.1 ipfleet-egress\r\n',
    )
  })

  test('is nothing when that is switched off, not even what it claims itself', () => {
    expect(headOf({ raw: ['X-Forwarded-For', '192.0.2.9', 'Via', '1.1 a', 'Forwarded', 'for=b'] })).toBe(
      'GET / HTTP/1.1\r\nHost: example.com\r\n',
    )
  })

  test('has the version it came with, behind the proxies before', () => {
    const head = headOf({ raw: ['Via', '1.1 a'], line: { httpVersion: '1.0' }, disclosure: everything })
    expect(head).toContain('\r\nVia: 1.1 a, 1.0 ipfleet-egress\r\n')
  })
})

test('Expect, Max-Forwards and the id of the request go on; Host is never the client’s', () => {
  const raw = ['Host', 'other', 'Expect', '100-Continue', 'X-Request-Id', 'a', 'Max-Forwards', '9', 'X-A', 'b']
  expect(headOf({ raw, line: { maxForwards: '8' } })).toBe(
    'GET / HTTP/1.1\r\nHost: example.com\r\nX-A: b\r\nX-Request-Id: a\r\nMax-Forwards: 8\r\nExpect: 100-continue\r\n',
  )
})

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
