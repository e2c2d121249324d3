import { describe, expect, test } from '@jest/globals'
import { classify } from './classify.ts'
import type { Reply } from './reply.ts'
import type { Expected } from './upstream-request.ts'

const json = 'application/json; charset=utf-8'

interface Heard {
  readonly status: number
  readonly contentType?: string
  readonly body?: unknown
  readonly retryAfter?: string
  readonly expected?: Expected
}

const dialect = { isUnknownToken: ({ body }: { body: Buffer }) => body.includes('whose is this') }

/** What classify makes of it; `body` is sent as JSON unless it is text. */
function heard({ status, contentType = json, body = '', retryAfter, expected = 'json' }: Heard): Reply {
  const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body, null, 2))
  return classify({ status, contentType, body: bytes }, { 'retry-after': retryAfter }, expected, dialect)
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
    ['400 wrong field', { status: 400, body: { title: 'Wrong module or field type' }, expected: 'text' }],
    ['400 of /me', { status: 400, body: { error: 'Invalid API token' } }],
    ['400 of lite', { status: 400, body: { error: 'Please provide a valid IP address' } }],
    ['404 as text where JSON was asked for', { status: 404, contentType: 'text/plain', body: 'not found' }],
    ['JSON of another kind', { status: 200, contentType: 'application/vnd.api+json', body: record }],
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

  test.each<[string, Heard, boolean]>([
    ['403 that says in its dialect that the key is unknown', { status: 403, body: { error: 'whose is this' } }, true],
    ['401 that says so', { status: 401, body: { error: 'whose is this' } }, true],
    ['401 {}', { status: 401, body: {} }, false],
    ['403 with a web page', { status: 403, contentType: 'text/html', body: '<h1>Forbidden</h1>' }, false],
  ])('%s is a refusal of the key', (_, what, isUnknown) => {
    expect(heard(what)).toMatchObject({ kind: 'denied', unknownToken: isUnknown, answer: { status: what.status } })
  })

  test.each<[string, Heard, number | undefined]>([
    ['with its own body', { status: 429, body: limit }, undefined],
    ['with Retry-After', { status: 429, body: limit, retryAfter: '17' }, 17],
    ['with a web page', { status: 429, contentType: 'text/html', body: '<h1>', retryAfter: '3' }, 3],
    ['with nonsense', { status: 429, body: '{' }, undefined],
  ])('429 %s: the key is over its limit', (_, what, retryAfter) => {
    expect(heard(what)).toEqual({ kind: 'limited', retryAfterSeconds: retryAfter })
  })

  test.each([500, 502, 503, 504, 529, 599, 999])('%i is a failure of upstream', (status) => {
    const failure = { kind: 'failed', code: 'upstream_failed', status, detail: `status ${status}` }
    expect(heard({ status, body: record })).toEqual(failure)
    expect(heard({ status, contentType: 'text/html', body: '<h1>', expected: 'any' })).toEqual(failure)
  })
})

test('of an object the inside is left to whoever asked', () => {
  for (const body of ['{}', ' \n{"a": nonsense}\r\n ', `{"a": "${'x'.repeat(500)}"}`]) {
    expect(heard({ status: 200, body, expected: 'object' })).toMatchObject({ kind: 'answered' })
  }
})

describe('what makes no sense', () => {
  test.each<[string, Heard, string]>([
    ['a redirect', { status: 302 }, 'unexpected status 302'],
    ['a redirect, where anything goes', { status: 301, expected: 'any' }, 'unexpected status 301'],
    ['304 to a question without a condition', { status: 304 }, 'unexpected status 304'],
    ['101', { status: 101 }, 'unexpected status 101'],
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
    ['204 to a question', { status: 204, contentType: '' }, 'no content type instead of json'],
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
    expect(heard(what)).toEqual({ kind: 'failed', code: 'upstream_invalid', status: what.status, detail })
  })

  test('what upstream says in its content type is told in short', () => {
    const reply = heard({ status: 200, contentType: `text/${'x'.repeat(500)}; note=canary` })
    expect(reply).toMatchObject({ kind: 'failed' })
    if (reply.kind !== 'failed') return
    expect(reply.detail).not.toContain('canary')
    expect(reply.detail.length).toBeLessThan(100)
  })
})
