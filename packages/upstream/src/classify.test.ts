import { describe, expect, test } from '@jest/globals'
import { classify } from './classify.ts'
import { ipinfoRules } from './providers/ipinfo-rules.ts'
import type { Reply } from './reply.ts'
import type { Expected } from './upstream-request.ts'

const json = 'application/json; charset=utf-8'

interface Heard {
  readonly status: number
  readonly contentType?: string
  readonly body?: unknown
  readonly retryAfter?: string
  readonly expected?: Expected
  readonly path?: string
}

const product = { name: 'core', kind: 'plan' } as const

/** What classify makes of it; `body` is sent as JSON unless it is text. */
function heard({
  status,
  contentType = json,
  body = '',
  retryAfter,
  expected = 'json',
  path = '/whatever',
}: Heard): Reply {
  const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body, null, 2))
  const request = { method: 'GET', surface: 'legacy', path, expected } as const
  return classify(
    { status, contentType, body: bytes },
    { 'retry-after': retryAfter },
    { request, product, rules: ipinfoRules },
  )
}

const record = { ip: '8.8.8.8', hostname: 'dns.google', country: 'US' }
const limit = { status: 429, error: { title: 'Rate limit exceeded', message: "You've hit the daily limit…" } }
const wrongIp = { status: 404, error: { title: 'Wrong ip', message: 'Please provide a valid IP address' } }

describe('what IPinfo says', () => {
  test.each<[string, Heard]>([
    ['a record', { status: 200, body: record }],
    ['a reserved address', { status: 200, body: { ip: '10.0.0.1', bogon: true } }],
    ['a field, as text', { status: 200, contentType: 'text/plain; charset=utf-8', body: 'US\n', expected: 'text' }],
    ['a field that is JSON', { status: 200, body: { asn: 'AS15169' }, expected: 'text' }],
    ['a field under text/html', { status: 200, contentType: 'text/html', body: 'US\n', expected: 'text' }],
    ['404 Wrong ip', { status: 404, body: wrongIp }],
    ['404 for an ASN', { status: 404, body: { error: 'ASN Not Found!' } }],
    ['400 of lite', { status: 400, body: { error: 'Please provide a valid IP address' } }],
    ['404 as text where JSON was asked for', { status: 404, contentType: 'text/plain', body: 'not found' }],
    ['JSON of another kind', { status: 200, contentType: 'application/vnd.api+json', body: record }],
    ['a 204 of a tool', { status: 204, contentType: '', expected: 'any' }],
    ['a content type in capitals', { status: 200, contentType: 'Application/JSON', body: record }],
    ['a page, where anything goes', { status: 200, contentType: 'text/html', body: '<html>', expected: 'any' }],
    ['nonsense, where anything goes', { status: 200, body: '{', expected: 'any' }],
  ])('%s is an answer, as it is', (_, what) => {
    const reply = heard(what)
    const { status, contentType = json } = what
    expect(reply).toMatchObject({ kind: 'answered', answer: { status, contentType } })
    if (reply.kind !== 'answered' || typeof what.body !== 'string') return
    expect(reply.answer.body.toString()).toBe(what.body)
  })

  test.each<[string, Heard, string]>([
    ['403 Unknown token', { status: 403, body: { error: { title: 'Unknown token' } } }, 'unclear'],
    ['401 {}', { status: 401, body: {} }, 'unclear'],
    ['403 of a permission', { status: 403, body: { title: 'Your token does not have access to this' } }, 'product'],
    ['400 wrong field', { status: 400, body: { title: 'Wrong module or field type' }, expected: 'text' }, 'query'],
    ['400 Invalid API token', { status: 400, body: { error: 'Invalid API token' } }, 'unclear'],
    ['200 with a refusal inside', { status: 200, body: { status: 403, error: { title: 'Unknown token' } } }, 'unclear'],
  ])('%s is a refusal', (_, what, scope) => {
    const status = what.status === 200 ? 403 : what.status
    expect(heard(what)).toMatchObject({ kind: 'denied', scope, answer: { status } })
  })

  test.each<[string, Heard, number | undefined]>([
    ['with its own body', { status: 429, body: limit }, undefined],
    ['with Retry-After', { status: 429, body: limit, retryAfter: '17' }, 17],
    ['with a web page', { status: 429, contentType: 'text/html', body: '<h1>', retryAfter: '3' }, 3],
    ['with nonsense', { status: 429, body: '{' }, undefined],
    ['inside a 200', { status: 200, body: limit }, undefined],
    ['in a gateway’s words', { status: 200, body: { message: 'Too many requests' } }, undefined],
    ['in a list of errors', { status: 200, body: { success: false, errors: ['rate limit'] } }, undefined],
    ['in an object', { status: 200, body: { error: { code: 104, info: 'usage limit reached' } } }, undefined],
    ['beside the address', { status: 200, body: { ip: '8.8.8.8', ...limit } }, undefined],
    [
      'beside the address, without a status',
      { status: 200, body: { ip: '8.8.8.8', error: 'limit reached' } },
      undefined,
    ],
    ['of ipapi.co', { status: 200, body: { ip: '8.8.8.8', error: true, reason: 'RateLimited' } }, undefined],
    ['of ipwho.is', { status: 200, body: { ip: '8.8.8.8', success: false, message: 'Too many' } }, undefined],
    ['that says how long', { status: 429, body: { error: 'Try again in 2 minutes' } }, 120],
  ])('429 %s: the key is over its limit', (_, what, retryAfter) => {
    const limited = { kind: 'limited', scope: 'product', reason: 'limited', status: 429 }
    expect(heard(what)).toEqual({ ...limited, retryAfterSeconds: retryAfter })
  })

  test('402 is a quota that is gone, 408, 421 and 425 are about the connection', () => {
    expect(heard({ status: 402, body: {} })).toMatchObject({ kind: 'limited', scope: 'key', reason: 'exhausted' })
    for (const status of [408, 421, 425]) {
      expect(heard({ status, body: '' })).toMatchObject({ kind: 'failed', again: 'connection' })
    }
  })

  test.each([401, 403, 404])('a web page under %i is of something in front of upstream', (status) => {
    const page = { status, contentType: 'text/html', body: '<h1>Attention' }
    expect(heard(page)).toMatchObject({ kind: 'failed', code: 'upstream_invalid', again: 'key' })
  })

  test.each([
    ['120', 120],
    ['31536000', 3600],
    ['Fri, 31 Dec 9999 23:59:59 GMT', 3600],
  ])('an outage for which Retry-After says %s is told to clients for %i seconds', (retryAfter, seconds) => {
    expect(heard({ status: 503, retryAfter })).toMatchObject({ kind: 'failed', retryAfterSeconds: seconds })
  })

  test.each([500, 502, 503, 504, 529, 599, 999])('%i is a failure of upstream', (status) => {
    const failure = { kind: 'failed', code: 'upstream_failed', status, detail: `status ${status}` }
    expect(heard({ status, body: record })).toEqual(failure)
    expect(heard({ status, contentType: 'text/html', body: '<h1>', expected: 'any' })).toEqual(failure)
  })
})

test('of an object the inside is left to the caller', () => {
  for (const body of ['{}', ' \n{"a": nonsense}\r\n ', `{"a": "${'x'.repeat(500)}"}`]) {
    expect(heard({ status: 200, body, expected: 'object' })).toMatchObject({ kind: 'answered' })
  }
})

test('a 203 is a 200 that a proxy has changed', () => {
  expect(heard({ status: 203, body: record })).toMatchObject({ kind: 'answered', answer: { status: 200 } })
  expect(heard({ status: 203, body: limit })).toMatchObject({ kind: 'limited', status: 429 })
})

test.each([201, 202, 204, 206, 226])('a %i is no record, no batch and no field', (status) => {
  const failure = { kind: 'failed', code: 'upstream_invalid', status, detail: `unexpected status ${status}` }
  for (const expected of ['json', 'object', 'text'] as const) {
    expect(heard({ status, body: record, expected })).toMatchObject(failure)
  }
})

test.each(['json', 'object'] as const)('bytes that are not UTF-8 are no JSON (%s)', (expected) => {
  const body = Buffer.from('{"ip":"8.8.8.8","city":"Zürich"}', 'latin1')
  const request = { method: 'GET', surface: 'legacy', path: '/8.8.8.8', expected } as const
  const reply = classify({ status: 200, contentType: json, body }, {}, { request, product, rules: ipinfoRules })
  expect(reply).toMatchObject({ kind: 'failed', code: 'upstream_invalid', detail: 'malformed JSON' })
})

describe('the record of an address', () => {
  test.each<[string, unknown]>([
    ['/8.8.8.8', record],
    ['/8.8.8.8/geo', record],
    ['/lite/8.8.8.8', record],
    ['/2001:4860:4860::8888', { ip: '2001:4860:4860:0:0:0:0:8888' }],
    ['/8.8.8.8', { ip: '::ffff:8.8.8.8' }],
    ['/AS15169', { asn: 'AS15169' }],
    ['/8.8.8.8/carrier', {}],
    ['/resproxy/2001:4860:4860::8888', { ip: '2001:4860:4860:0000:0000:0000:0000:8888' }],
  ])('%s is answered by %j', (path, body) => {
    expect(heard({ status: 200, path, body })).toMatchObject({ kind: 'answered' })
  })

  test.each<[string, unknown]>([
    ['/8.8.8.8', {}],
    ['/8.8.8.8', { ip: '8.8.4.4' }],
    ['/8.8.8.8/geo', { city: 'x' }],
    ['/lookup/8.8.8.8', { geo: {} }],
    ['/max/8.8.8.8', []],
    ['/AS15169', { asn: 'AS1' }],
    ['/8.8.8.8/privacy', []],
    ['/8.8.8.8/company', null],
    ['/ranges/a.com', 5],
    ['/whois/net/NET-1', '""'],
    ['/resproxy/8.8.8.8', { ip: '8.8.4.4' }],
    ['/8.8.8.8/abuse', { ip: '8.8.4.4' }],
    ['/domains/8.8.8.8?page=1', { ip: '8.8.4.4' }],
  ])('%s is not answered by %j', (path, body) => {
    const foreign = { kind: 'failed', code: 'upstream_invalid', detail: 'not the record of what was asked' }
    expect(heard({ status: 200, path, body })).toMatchObject(foreign)
  })
})

describe('what makes no sense', () => {
  test.each<[string, Heard, string]>([
    ['a redirect', { status: 302 }, 'unexpected status 302'],
    ['a redirect, where anything goes', { status: 301, expected: 'any' }, 'unexpected status 301'],
    ['304 to a question without a condition', { status: 304 }, 'unexpected status 304'],

    ['a page instead of a record', { status: 200, contentType: 'text/html', body: '<p>' }, 'text/html instead of json'],
    ['a page under 404', { status: 404, contentType: 'text/html', body: '<p>' }, 'text/html instead of json'],
    ['a page in capitals', { status: 404, contentType: 'Text/HTML', body: '<p>' }, 'text/html instead of json'],
    [
      'a page instead of a field',
      { status: 200, contentType: 'text/html', body: '\n <!doctype html>', expected: 'text' },
      'text/html instead of text',
    ],
    ['text instead of a record', { status: 200, contentType: 'text/plain', body: 'US' }, 'text/plain instead of json'],
    ['no content type', { status: 200, contentType: '', body: '{}' }, 'no content type instead of json'],
    ['204 to a question', { status: 204, contentType: '' }, 'unexpected status 204'],
    ['half a record', { status: 200, body: '{"ip": "8.8.8.8", "ci' }, 'malformed JSON'],
    ['an empty record', { status: 200, body: '' }, 'malformed JSON'],
    ['half an error', { status: 404, body: '{"status":' }, 'malformed JSON'],
    ['half a field', { status: 200, body: '{"asn":', expected: 'text' }, 'malformed JSON'],
    ['half an object', { status: 200, body: '{"1.1.1.1": {"ip"', expected: 'object' }, 'malformed JSON'],
    ['a list instead of an object', { status: 200, body: '[]', expected: 'object' }, 'malformed JSON'],
    ['nothing instead of an object', { status: 200, body: '', expected: 'object' }, 'malformed JSON'],
    [
      'half an error, where an object was asked for',
      { status: 404, body: '{"a":}', expected: 'object' },
      'malformed JSON',
    ],
    [
      'a page instead of an object',
      { status: 404, contentType: 'text/html', body: '<p>', expected: 'object' },
      'text/html instead of json',
    ],
    [
      'text instead of an object',
      { status: 200, contentType: 'text/plain', body: '{}', expected: 'object' },
      'text/plain instead of json',
    ],
  ])('%s', (_, what, detail) => {
    expect(heard(what)).toMatchObject({ kind: 'failed', code: 'upstream_invalid', status: what.status, detail })
  })

  test('what upstream says in its content type is told in short', () => {
    const reply = heard({ status: 200, contentType: `text/${'x'.repeat(500)}; note=canary` })
    expect(reply).toMatchObject({ kind: 'failed' })
    if (reply.kind !== 'failed') return
    expect(reply.detail).not.toContain('canary')
    expect(reply.detail.length).toBeLessThan(100)
  })
})
