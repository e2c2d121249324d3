import { describe, expect, test } from '@jest/globals'
import { ForwardedHeaders } from '@ipfleet/proxy/forwarded-headers.ts'
import { type Client, isLooping, requestHead } from './request-record.ts'

const stranger: Client = { address: '192.0.2.1', subject: '', peer: '192.0.2.1', isIntroduced: false, secure: false }
/** Behind a trusted proxy. */
const introduced: Client = { address: '192.0.2.1', subject: '', peer: '10.0.0.1', isIntroduced: true, secure: false }
const named = { host: 'backend.test' }
const asked = { id: 'id-1', method: 'GET', target: '/8.8.8.8?x=1', req: { httpVersion: '1.1' } }

function rawOf(fields: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(fields).flat()
}

function head(client: Client, raw: readonly string[], request = asked): string[] {
  const text = requestHead({ ...request, fields: new ForwardedHeaders(raw), client }, named)
  expect(text).toMatch(/[^\n]\r\n$/)
  return text.split('\r\n').slice(0, -1)
}

test('a request says where it is from, and whom it came through', () => {
  expect(head(stranger, ['Host', 'a', 'Accept', '*/*', 'x-own', '1'])).toEqual([
    'GET /8.8.8.8?x=1 HTTP/1.1',
    'Host: backend.test',
    'Accept: */*',
    'x-own: 1',
    'X-Forwarded-For: 192.0.2.1',
    'X-Forwarded-Proto: http',
    'X-Forwarded-Host: a',
    'X-Real-IP: 192.0.2.1',
    'X-Request-Id: id-1',
    'X-Proxy: ipfleet',
    'Via: 1.1 ipfleet-edge',
  ])
})

test('a further attempt says so, and nobody else does', () => {
  const fields = new ForwardedHeaders(['Host', 'a', 'X-Ipfleet-Attempt', '9', 'x_ipfleet_attempt', '9'])
  const request = { ...asked, fields, client: stranger }
  expect(requestHead(request, { ...named, attempt: 2 }).match(/.*attempt.*/gi)).toEqual(['X-Ipfleet-Attempt: 2'])
  expect(requestHead(request, named)).not.toMatch(/attempt/i)
})

const claims = rawOf({
  Host: 'a',
  'X-Forwarded-For': '203.0.113.9, 192.0.2.1',
  'X-Forwarded-Proto': 'https',
  'X-Forwarded-Host': 'public.example',
  'X-Real-IP': '203.0.113.9',
  'X-Proxy': 'other',
})

describe('what others have said', () => {
  test('goes on when a trusted proxy vouches for it', () => {
    const lines = head(introduced, claims)
    expect(lines).toContain('X-Forwarded-For: 203.0.113.9, 192.0.2.1, 10.0.0.1')
    expect(lines).toContain('X-Forwarded-Proto: https')
    expect(lines).toContain('X-Forwarded-Host: public.example')
    expect(lines).toContain('X-Real-IP: 192.0.2.1')
    expect(lines).toContain('X-Proxy: ipfleet')
  })

  test('goes on when the client is the trusted proxy itself', () => {
    const itself = { ...introduced, address: introduced.peer }
    expect(head(itself, rawOf({ Host: 'a', 'X-Forwarded-Proto': 'https' }))).toContain('X-Forwarded-Proto: https')
  })

  test('does not when it comes from a stranger', () => {
    const lines = head(stranger, claims)
    expect(lines).toContain('X-Forwarded-For: 192.0.2.1')
    expect(lines).toContain('X-Forwarded-Proto: http')
    expect(lines).toContain('X-Forwarded-Host: a')
    expect(lines.join()).not.toMatch(/203\.0\.113\.9|public\.example|other/)
  })

  test.each(['ftp', 'HTTPS', 'https, http', 'https\tx', ''])('is not believed when it is no scheme: %j', (proto) => {
    expect(head(introduced, ['Host', 'a', 'X-Forwarded-Proto', proto])).toContain('X-Forwarded-Proto: http')
  })
})

test('over TLS the scheme is https', () => {
  expect(head({ ...stranger, secure: true }, ['Host', 'a'])).toContain('X-Forwarded-Proto: https')
})

test('a client that names no host is told of no host', () => {
  expect(head(stranger, []).join()).not.toContain('X-Forwarded-Host')
})

test.each([
  [['Via', '1.0 old', 'via', '1.1 cdn (x, y)'], '2.0', 'Via: 1.0 old, 1.1 cdn (x, y), 2.0 ipfleet-edge'],
  [[], '1.0', 'Via: 1.0 ipfleet-edge'],
])('Via goes on, with the version that the client spoke: %j', (raw, httpVersion, via) => {
  const lines = head(stranger, raw, { ...asked, req: { httpVersion } })
  expect(lines.filter((line) => line.startsWith('Via'))).toEqual([via])
})

test('what is said of the body, and of this hop, is not here', () => {
  const hop = { Connection: 'keep-alive, X-Hop', 'X-Hop': '1', TE: 'trailers', Upgrade: 'websocket', 'Keep-Alive': '5' }
  const lines = head(stranger, rawOf({ Host: 'a', 'Content-Length': '5', ...hop }))
  expect(lines.join()).not.toMatch(/content-length|transfer-encoding|connection|x-hop|TE:|upgrade|keep-alive/i)
})

test.each([
  [['Expect', '100-continue'], 'Expect: 100-continue'],
  [['Max-Forwards', '7'], 'Max-Forwards: 7'],
])('%j is said again', (raw, line) => {
  expect(head(stranger, raw)).toContain(line)
  expect(head(stranger, [])).not.toContain(line)
})

test.each([
  [0, false],
  [1, false],
  [9, false],
  [10, true],
  [50, true],
])('a request that has come through %i edges goes in circles: %p', (passes, loops) => {
  const via = Array.from({ length: passes }, () => ['Via', '1.1 ipfleet-edge']).flat()
  expect(isLooping(new ForwardedHeaders(['Via', '1.1 cdn', ...via]))).toBe(loops)
})
