import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { cacheStatus, type LocalFleet, startLocalFleet } from './local-fleet.ts'
import { parseRaw, sendRaw } from './raw-http.ts'

/** Input that no client should send, and odd input that some do. None of it reaches upstream. */
let fleet: LocalFleet
beforeAll(async () => {
  fleet = await startLocalFleet()
})
afterAll(() => fleet.stop())
beforeEach(() => fleet.fake.clearCalls())

const items = (count: number): string => JSON.stringify(Array.from({ length: count }, (_, index) => `9.9.9.${index}`))
const get = (...lines: string[]): string => ['GET /8.8.8.8 HTTP/1.1', ...lines, '', ''].join('\r\n')
const post = (headers: readonly string[], body: string): string =>
  ['POST /batch HTTP/1.1', 'Host: a', ...headers, '', body].join('\r\n')
const words = (text: string): string[] => text.split(' ')

/** Whatever it was, upstream was not asked. */
function expectNoCalls(): void {
  expect(fleet.fake.calls).toEqual([])
}

describe('look-ups', () => {
  afterEach(expectNoCalls)

  test.each([
    '/%00',
    '/8.8.8.8%00',
    '/8.8.8.8/%00',
    '/%2f..%2fstats',
    '/8.8.8.8%0d%0aX-A:%20b',
    '/%ZZ',
    '/8.8.8.8/%',
    '/..%5c..',
    '/%2e%2e/stats',
  ])('%s is 400 as JSON', async (path) => {
    const reply = await fleet.ask(path)
    expect([reply.status, reply.headers['content-type']]).toEqual([400, 'application/json; charset=utf-8'])
    expect(reply.json()).toMatchObject({ status: 400, error: { title: 'Bad request' } })
    expect(reply.headers['x-a']).toBeUndefined()
  })

  test.each([
    ...words(
      '0177.0.0.1 0x7f.1 2130706433 127.1 1.1 01.1.1.1 256.1.1.1 1.1.1.1.1 0x7f000001 fe80::1%eth0 :::1 1::2::3',
    ),
    ...words('１.1.1.1 1。1。1。1 １２７.0.0.1 ١٢٧.0.0.1 [::1] 1.1.1.1. 1.1.1.1/24 2001:db8::g 1.1.1.1:80'),
    ' 1.1.1.1',
    '1.1.1.1 ',
  ])('%s is no address: 404 as upstream says it', async (text) => {
    const path = `/${text.split('/').map(encodeURIComponent).join('/')}`
    const reply = await fleet.ask(path)
    expect(reply.status).toBe(404)
    expect(reply.json()).toEqual({
      status: 404,
      error: { title: 'Wrong ip', message: 'Please provide a valid IP address' },
    })
    expect(reply.headers['content-type']).toBe('application/json; charset=utf-8')
  })

  test('a zone is 404 also where it is not escaped', async () => {
    expect((await fleet.ask('/fe80::1%eth0')).status).toBe(404)
    expect((await fleet.ask('/fe80::1%25eth0')).status).toBe(404)
  })

  test.each([
    ...words('10.0.0.1 127.0.0.1 192.168.1.1 172.16.0.1 169.254.169.254 100.64.0.1 0.0.0.0 192.0.2.1 198.51.100.7'),
    ...words('203.0.113.9 198.18.0.1 224.0.0.1 255.255.255.255 ::1 :: fe80::1 fc00::1 ff02::1 2001:db8::1'),
    '::ffff:10.0.0.1',
  ])('%s belongs to no network', async (address) => {
    const reply = await fleet.ask(`/${address}`)
    expect(reply.status).toBe(200)
    expect(reply.json()).toEqual({ ip: address === '::ffff:10.0.0.1' ? '10.0.0.1' : address, bogon: true })
    expect(cacheStatus(reply)).toBe('ipfleet; detail=local')
  })

  test.each<[string, string | Buffer, number]>([
    ['a list that is cut off', '["8.8.8.8", ', 400],
    ['an object', '{"8.8.8.8": 1}', 400],
    ['a string', '"8.8.8.8"', 400],
    ['a nested list', '[["8.8.8.8"]]', 400],
    ['a list of numbers', '[8]', 400],
    ['an empty list', '[]', 400],
    ['nothing', '', 400],
    ['bytes that are not UTF-8', Buffer.from([0x22, 0xff, 0xfe, 0x0a]), 400],
    ['1001 items', items(1001), 413],
    ['more than a megabyte', `["${'8'.repeat(1_100_000)}"]`, 413],
  ])('a batch that is %s is refused as a whole', async (_what, body, status) => {
    for (const type of ['application/json', 'text/plain', 'x/y; charset=nonsense', undefined]) {
      const headers = type === undefined ? {} : { 'content-type': type }
      const reply = await fleet.ask('/batch', { method: 'POST', body, headers })
      expect([type, reply.status]).toEqual([type, status])
      expect(reply.json()).toMatchObject({ status })
    }
  })
})

describe('look-ups that are odd but good', () => {
  test('every spelling of an address is one query', async () => {
    const spellings = words(
      '2001:4860:4860::8888 2001:4860:4860:0:0:0:0:8888 2001:4860:4860:0000:0000:0000:0000:8888 ' +
        '2001:4860:4860:0::8888 2001%3A4860%3A4860%3A%3A8888 2001:4860:4860::8888/json',
    )
    const texts = new Set<string>()
    for (const spelling of spellings) texts.add((await fleet.ask(`/${spelling}`)).text)
    for (const mapped of ['::ffff:1.1.1.1', '::ffff:101:101', '0:0:0:0:0:FFFF:1.1.1.1', '1.1.1.1']) {
      texts.add((await fleet.ask(`/${mapped}`)).text)
    }
    expect(texts.size).toBe(2)
    expect(fleet.fake.calls.map(({ path }) => path)).toEqual(['/2001:4860:4860::8888', '/1.1.1.1'])
  })

  test.each(['application/json', 'text/plain', 'application/x-www-form-urlencoded', undefined])(
    'a batch is read whatever its Content-Type: %s',
    async (type) => {
      const headers = type === undefined ? {} : { 'content-type': type }
      const reply = await fleet.ask('/batch', { method: 'POST', body: '["8.8.8.8","8.8.8.8"]', headers })
      expect(reply.status).toBe(200)
      expect(reply.json()).toMatchObject({ '8.8.8.8': { ip: '8.8.8.8' } })
    },
  )

  test('headers that name another host or path change nothing', async () => {
    const plain = await fleet.ask('/8.8.4.4')
    const headers = { 'x-forwarded-host': 'evil.example', 'x-original-url': '/me', origin: 'https://evil.example' }
    const odd = await fleet.ask('/8.8.4.4', { headers: { ...headers, connection: 'x-forwarded-for' } })
    expect([odd.status, odd.text]).toEqual([plain.status, plain.text])
    expect(cacheStatus(odd)).toContain('detail=l1')
  })

  test('an Upgrade that is not offered is ignored', async () => {
    const request = 'GET /8.8.4.4 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n'
    expect(parseRaw(await sendRaw(portOf(fleet), request)).status).toBe(200)
  })
})

describe('HTTP that is malformed or ambiguous', () => {
  afterEach(expectNoCalls)

  const chunks = '5\r\nhello\r\n0\r\n\r\n'

  test.each<[string, string | Buffer, readonly number[]]>([
    ['Content-Length and Transfer-Encoding', post(['Content-Length: 5', 'Transfer-Encoding: chunked'], chunks), [400]],
    ['two Content-Lengths', post(['Content-Length: 5', 'Content-Length: 6'], 'hello!'), [400]],
    ['a Content-Length that is no number', post(['Content-Length: +5'], 'hello'), [400]],
    ['a space before the colon', post(['Transfer-Encoding : chunked'], chunks), [400]],
    ['two Transfer-Encodings', post(['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'], chunks), [400]],
    ['chunked, identity', post(['Transfer-Encoding: chunked, identity'], chunks), [400]],
    ['xchunked', post(['Transfer-Encoding: xchunked'], chunks), [400]],
    ['a folded header', get('Host: a', 'X-A: b', ' c'), [400]],
    ['a bare LF', 'GET /8.8.8.8 HTTP/1.1\nHost: a\n\n', [400]],
    ['a bare CR', get('Host: a', 'X-A: b\rc'), [400]],
    ['a NUL', get('Host: a', 'X-A: b\0c'), [400]],
    ['raw UTF-8 in the path', Buffer.from('GET /１.1.1.1 HTTP/1.1\r\nHost: a\r\n\r\n'), [400]],
    ['no Host', get(), [400]],
    ['two Hosts', get('Host: a', 'Host: b'), [400]],
    ['a Host with a path', get('Host: a/b@c'), [400]],
    [
      'an extension of 16 KB',
      post(['Transfer-Encoding: chunked'], `5;${'x'.repeat(17_000)}\r\nhello\r\n0\r\n\r\n`),
      [400, 413],
    ],
    ['the absolute form', 'GET http://a/8.8.8.8 HTTP/1.1\r\nHost: a\r\n\r\n', [400]],
    ['the absolute form with a user', 'GET http://u:p@a/8.8.8.8 HTTP/1.1\r\nHost: a\r\n\r\n', [400]],
    ['no version', 'GET /8.8.8.8\r\n\r\n', [400]],
    ['HTTP/2.0', 'GET /8.8.8.8 HTTP/2.0\r\nHost: a\r\n\r\n', [400, 505]],
    ['an asterisk', 'GET * HTTP/1.1\r\nHost: a\r\n\r\n', [400]],
    ['CONNECT', 'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n', [405]],
    ['TRACE', 'TRACE /8.8.8.8 HTTP/1.1\r\nHost: a\r\n\r\n', [405]],
    ['120 headers', get('Host: a', ...Array.from({ length: 120 }, (_, index) => `X-${index}: a`)), [431]],
    ['a URL of 20 KB', `GET /8.8.8.8?${'x'.repeat(20_000)} HTTP/1.1\r\nHost: a\r\n\r\n`, [414, 431]],
    ['a URL of 8 KB', `GET /8.8.8.8?${'x'.repeat(8_000)} HTTP/1.1\r\nHost: a\r\n\r\n`, [414]],
  ])('%s is refused, as JSON', async (_what, bytes, statuses) => {
    const { status, head, body } = parseRaw(await sendRaw(portOf(fleet), bytes))
    expect(statuses).toContain(status)
    expect(head).toContain('content-type: application/json')
    expect(JSON.parse(body)).toMatchObject({ status })
    expect(body).not.toContain('    at ')
  })
})

function portOf({ replicas }: LocalFleet): number {
  const [replica] = replicas
  if (replica === undefined) throw new Error('no replica')
  return replica.port
}
