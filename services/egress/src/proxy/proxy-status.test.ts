import { describe, expect, test } from '@jest/globals'
import { ProxyError } from '@ipfleet/core/proxy-error.ts'
import { UpstreamFault, type UpstreamFaultKind } from '@ipfleet/proxy/http1/upstream-fault.ts'
import {
  dialRefusal,
  faultRefusal,
  refusal,
  type Refusal,
  refusalOf,
  statusFields,
  verdictRefusal,
} from './proxy-status.ts'

/** The status that a client gets, and what Proxy-Status says behind the name of this proxy. */
function told(refused: Refusal): [number, string] {
  const [name, value = ''] = statusFields(refused)
  expect([name, value.startsWith('ipfleet-egress; error=')]).toEqual(['Proxy-Status', true])
  return [refused.error.status, value.slice('ipfleet-egress; error='.length)]
}

describe('no connection: the client is told why', () => {
  test.each([
    ['ECONNREFUSED', 502, 'connection_refused'],
    ['ETIMEDOUT', 504, 'connection_timeout'],
    ['ENETUNREACH', 502, 'destination_ip_unroutable'],
    ['EHOSTUNREACH', 502, 'destination_ip_unroutable'],
    ['ECONNRESET', 502, 'destination_unavailable'],
  ])('%s', (code, status, error) => {
    expect(told(dialRefusal({ kind: 'failed', code, source: undefined }))).toEqual([
      status,
      `${error}; details="${code}"`,
    ])
  })

  test('all addresses of the pool are out: 503, and when to try again', () => {
    const refused = dialRefusal({ kind: 'no_source', retryAfterSeconds: 7 })
    expect([...told(refused), refused.error.retryAfterSeconds]).toEqual([503, 'connection_limit_reached', 7])
  })

  test('the pool has no address of the target’s family', () => {
    expect(told(dialRefusal({ kind: 'no_family' }))).toEqual([
      502,
      'destination_ip_unroutable; details="no source address of that family"',
    ])
  })

  test('the address of a hard session is out', () => {
    expect(told(dialRefusal({ kind: 'session_lost' }))[0]).toBe(502)
  })
})

describe('a target that is not gone to', () => {
  test.each([
    ['private', 'destination_ip_prohibited'],
    ['own', 'destination_ip_prohibited'],
    ['port', 'http_request_denied'],
    ['denied', 'http_request_denied'],
  ] as const)('is 403: %s', (reason, error) => {
    expect(told(verdictRefusal({ kind: 'refused', reason }))).toEqual([403, `${error}; details="${reason}"`])
  })

  test('is 502 when its name is none, 504 when nobody can tell', () => {
    const unresolved = { kind: 'unresolved', code: 'ENOTFOUND' } as const
    expect(told(verdictRefusal({ ...unresolved, timedOut: false }))).toEqual([502, 'dns_error; details="ENOTFOUND"'])
    expect(told(verdictRefusal({ ...unresolved, timedOut: true }))).toEqual([504, 'dns_timeout; details="ENOTFOUND"'])
  })

  test('is 503 when this process can open no file to look it up', () => {
    const unresolved = { kind: 'unresolved', code: 'EMFILE', timedOut: false } as const
    expect(told(verdictRefusal(unresolved))).toEqual([503, 'connection_limit_reached; details="EMFILE"'])
  })
})

test.each<[UpstreamFaultKind, number, string]>([
  ['unreachable', 502, 'destination_unavailable'],
  ['lost', 502, 'connection_terminated'],
  ['silent', 504, 'http_response_timeout'],
  ['cut', 502, 'http_response_incomplete'],
  ['stalled', 504, 'connection_read_timeout'],
  ['garbled', 502, 'http_protocol_error'],
])('an exchange that fails is told by what is known of it: %s', (kind, status, error) => {
  expect(told(faultRefusal(new UpstreamFault(kind, 'why')))).toEqual([status, `${error}; details="why"`])
})

test('details are always a string that Structured Fields allow (RFC 9651 §3.3.3)', () => {
  expect(told(refusal('bad_request', 'http_request_error', 'a"b\\c\r\nd é'))[1]).toBe(
    'http_request_error; details="abcd "',
  )
})

test('a fault of ours is said to be one, without what it was', () => {
  const refused = refusalOf(new TypeError('secret'))
  expect(told(refused)).toEqual([500, 'proxy_internal_error'])
  expect(refused.error.body()).not.toContain('secret')
})

test('a refusal stays itself, and what is thrown as an error for the client keeps its status', () => {
  const refused = refusal('bad_request', 'http_request_error')
  expect(refusalOf(refused)).toBe(refused)
  expect(told(refusalOf(new ProxyError('overloaded')))).toEqual([503, 'proxy_internal_error'])
})
