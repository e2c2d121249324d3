import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { converse, type Conversation, type RawAnswer } from '@ipfleet/testing/raw-conversation.ts'
import { echo, RecordingBackend, type SeenRequest, valuesOf } from '@ipfleet/testing/recording-backend.ts'
import { Wire } from '@ipfleet/testing/wire.ts'
import { ask } from './ask.ts'
import { type RunningEdge, startEdge } from './start-edge.ts'

/** Input that nobody should send, byte by byte, and what the backend may see of it: nothing. */
let backend: RecordingBackend
let edge: RunningEdge
/** Believes what stands in X-Forwarded-For. */
let trusting: RunningEdge
beforeAll(async () => {
  backend = await RecordingBackend.start()
  const server = 'header_timeout_seconds = 4'
  edge = await startEdge({ backends: [backend.port], server })
  trusting = await startEdge({ backends: [backend.port], server, env: { TRUST_PROXY: '127.0.0.0/8' } })
})
afterAll(async () => {
  await edge.stop()
  await trusting.stop()
  await backend[Symbol.asyncDispose]()
})

const get = (...lines: string[]): string => ['GET /first HTTP/1.1', ...lines, '', ''].join('\r\n')
const post = (headers: readonly string[], body: string): string =>
  ['POST /first HTTP/1.1', 'Host: a', ...headers, '', body].join('\r\n')
const next = 'GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
const chunks = '5\r\nhello\r\n0\r\n\r\n'

/** With an idle connection to the backend that would carry at once whatever were let by. */
async function sendTo({ port }: RunningEdge, bytes: string | Buffer): Promise<Conversation> {
  await ask(port, '/fence')
  backend.forget()
  const conversation = await converse(port, bytes)
  // On its way to the backend after all that might have been let by.
  await ask(port, '/fence')
  return conversation
}

const send = (bytes: string | Buffer): Promise<Conversation> => sendTo(edge, bytes)

/** What the backend got, apart from what `sendTo` asks for itself. */
const seen = (): SeenRequest[] => backend.requests.filter(({ target }) => target !== '/fence')
const seenTargets = (): string[] => seen().map(({ target }) => target)

function expectNothingSeen(): void {
  expect([seenTargets(), backend.faults]).toEqual([[], []])
}

/** One refusal, as JSON, and then the end of the connection. */
function refusalIn({ answers, rest, end }: Conversation): RawAnswer & { readonly json: unknown } {
  expect([answers.length, rest, end]).toEqual([1, '', 'closed'])
  const [answer] = answers as [RawAnswer]
  expect(answer.head).toContain('content-type: application/json')
  expect(answer.head).toContain('connection: close')
  expect(answer.body).not.toContain('    at ')
  const json: unknown = JSON.parse(answer.body)
  expect(json).toMatchObject({
    status: answer.status,
    error: { title: expect.any(String), message: expect.any(String) },
  })
  return { ...answer, json }
}

describe('a request that is malformed or ambiguous', () => {
  afterEach(expectNothingSeen)

  const inHead: readonly (readonly [string, string | Buffer, readonly number[]])[] = [
    ['Content-Length and Transfer-Encoding', post(['Content-Length: 5', 'Transfer-Encoding: chunked'], chunks), [400]],
    ['Transfer-Encoding and Content-Length', post(['Transfer-Encoding: chunked', 'Content-Length: 5'], chunks), [400]],
    ['two Content-Lengths', post(['Content-Length: 5', 'Content-Length: 6'], 'hello!'), [400]],
    ['the same Content-Length twice', post(['Content-Length: 5', 'Content-Length: 5'], 'hello'), [400]],
    ['a list of Content-Lengths', post(['Content-Length: 5, 5'], 'hello'), [400]],
    ['a Content-Length with a sign', post(['Content-Length: +5'], 'hello'), [400]],
    ['a negative Content-Length', post(['Content-Length: -5'], 'hello'), [400]],
    ['a Content-Length of 20 digits', post(['Content-Length: 99999999999999999999'], 'hello'), [400]],
    ['an empty Content-Length', post(['Content-Length:'], 'hello'), [400]],
    ['a space before the colon', post(['Transfer-Encoding : chunked'], chunks), [400]],
    ['two Transfer-Encodings', post(['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'], chunks), [400]],
    ['chunked, identity', post(['Transfer-Encoding: chunked, identity'], chunks), [400]],
    ['gzip, chunked', post(['Transfer-Encoding: gzip, chunked'], chunks), [400]],
    ['xchunked', post(['Transfer-Encoding: xchunked'], chunks), [400]],
    ['chunked in HTTP/1.0', post(['Transfer-Encoding: chunked'], chunks).replace('HTTP/1.1', 'HTTP/1.0'), [400]],
    ['a folded field', get('Host: a', 'X-A: b', ' c'), [400]],
    ['a field that begins with a blank', get(' X-A: b', 'Host: a'), [400]],
    ['a field without a colon', get('Host: a', 'X-A'), [400]],
    ['a field without a name', get('Host: a', ': b'), [400]],
    ['a bare LF', 'GET /first HTTP/1.1\nHost: a\n\n', [400]],
    ['a bare LF in a value', get('Host: a', 'X-A: b\nX-B: c'), [400]],
    ['a bare CR', get('Host: a', 'X-A: b\rc'), [400]],
    ['a NUL in a value', get('Host: a', 'X-A: b\0c'), [400]],
    ['a NUL in a name', get('Host: a', 'X-\0A: b'), [400]],
    ['a NUL in the target', 'GET /fir\0st HTTP/1.1\r\nHost: a\r\n\r\n', [400]],
    ['raw UTF-8 and a control character in the path', Buffer.from('GET /１\x7f HTTP/1.1\r\nHost: a\r\n\r\n'), [400]],
    ['raw UTF-8 in a path without a version', Buffer.from('GET /１\r\nHost: a\r\n\r\n'), [400]],
    ['raw UTF-8 in a path of another version', Buffer.from('GET /１ HTTP/2.0\r\nHost: a\r\n\r\n'), [400, 505]],
    ['raw UTF-8 in the path, and a bare LF', Buffer.from('GET /１ HTTP/1.1\nHost: a\n\n'), [400]],
    ['no Host', get(), [400]],
    ['an empty Host', get('Host:'), [400]],
    ['two Hosts', get('Host: a', 'Host: b'), [400]],
    ['the same Host twice', get('Host: a', 'hOST: a'), [400]],
    ['a Host with a path', get('Host: a/b@c'), [400]],
    ['a Host with a user', get('Host: u:p@a'), [400]],
    ['a Host with a blank', get('Host: a b'), [400]],
    ['a list of Hosts', get('Host: a, b'), [400]],
    ['the absolute form with a user', 'GET http://u:p@a/first HTTP/1.1\r\nHost: a\r\n\r\n', [400]],
    ['the absolute form of another scheme', 'GET ws://a/first HTTP/1.1\r\nHost: a\r\n\r\n', [400]],
    ['the absolute form without a host', 'GET http:///first HTTP/1.1\r\nHost: a\r\n\r\n', [400]],
    ['the absolute form without a slash', 'GET http:a/first HTTP/1.1\r\nHost: a\r\n\r\n', [400]],
    ['the absolute form with a backslash', 'GET http://a\\@b/first HTTP/1.1\r\nHost: a\r\n\r\n', [400]],
    ['the absolute form with a fragment', 'GET http://a/first#second HTTP/1.1\r\nHost: a\r\n\r\n', [400]],
    ['the absolute form without Host', 'GET http://a/first HTTP/1.1\r\n\r\n', [400]],
    ['the absolute form with two Hosts', 'GET http://a/first HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n', [400]],
    ['the absolute form with a Host that is none', 'GET http://a/first HTTP/1.1\r\nHost: u@a\r\n\r\n', [400]],
    ['the authority form', 'GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n', [400]],
    ['a target without a slash', 'GET first HTTP/1.1\r\nHost: a\r\n\r\n', [400]],
    ['a fragment', 'GET /first#second HTTP/1.1\r\nHost: a\r\n\r\n', [400]],
    ['an asterisk', 'GET * HTTP/1.1\r\nHost: a\r\n\r\n', [400]],
    ['OPTIONS and two asterisks', 'OPTIONS ** HTTP/1.1\r\nHost: a\r\n\r\n', [400]],
    ['OPTIONS and an asterisk without Host', 'OPTIONS * HTTP/1.1\r\n\r\n', [400]],
    ['no version', 'GET /first\r\n\r\n', [400]],
    ['HTTP/2.0', 'GET /first HTTP/2.0\r\nHost: a\r\n\r\n', [400, 505]],
    ['the beginning of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', [400, 505]],
    ['HTTP/0.9', 'GET /first HTTP/0.9\r\nHost: a\r\n\r\n', [400, 505]],
    ['a method in small letters', 'get /first HTTP/1.1\r\nHost: a\r\n\r\n', [400]],
    ['an unknown method without a version', 'BREW /first\r\nHost: a\r\n\r\n', [400]],
    ['an unknown method of another version', 'BREW /first HTTP/2.0\r\nHost: a\r\n\r\n', [400, 505]],
    ['an unknown method behind a blank', ' BREW /first HTTP/1.1\r\nHost: a\r\n\r\n', [400]],
    ['a TLS greeting', Buffer.from('160301020001000001fc0303', 'hex'), [400]],
    ['CONNECT', 'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n', [405]],
    ['TRACE', 'TRACE /first HTTP/1.1\r\nHost: a\r\n\r\n', [405]],
    ['an unknown expectation', post(['Expect: a-miracle', 'Content-Length: 5'], 'hello'), [417]],
    ['an expectation with another', post(['Expect: a, 100-continue', 'Content-Length: 5'], 'hello'), [417]],
    ['a body over the limit', post(['Content-Length: 104857601'], 'hello'), [413]],
    ['101 fields', get('Host: a', ...Array.from({ length: 100 }, (_, index) => `X-${index}: a`)), [431]],
    ['a field of 17 KB', get('Host: a', `X-A: ${'x'.repeat(17_000)}`), [431]],
    ['a field name of 17 KB', get('Host: a', `${'x'.repeat(17_000)}: a`), [431]],
    ['a URL of 20 KB', `GET /first?${'x'.repeat(20_000)} HTTP/1.1\r\nHost: a\r\n\r\n`, [414, 431]],
    ['a URL of 9 KB', `GET /first?${'x'.repeat(9_000)} HTTP/1.1\r\nHost: a\r\n\r\n`, [414]],
    ['a method that never ends', 'G'.repeat(20_000), [400, 431]],
  ]

  test.each(inHead)('%s: refused, and the backend sees nothing of it', async (_what, bytes, statuses) => {
    expect(statuses).toContain(refusalIn(await send(bytes)).status)
    expect(backend.unfinished.join('')).toBe('')
  })

  test.each(inHead)(
    '%s: what follows in the same packet is neither answered nor seen',
    async (_what, bytes, statuses) => {
      const both = Buffer.concat([Buffer.from(bytes), Buffer.from(next)])
      expect(statuses).toContain(refusalIn(await send(typeof bytes === 'string' ? `${bytes}${next}` : both)).status)
      expect(backend.unfinished.join('')).toBe('')
    },
  )

  test.each<[string, string]>([
    ['a chunk extension of 16 KB', `5;${'x'.repeat(17_000)}\r\nhello\r\n0\r\n\r\n`],
    ['a chunk size that is no number', `x\r\nhello\r\n0\r\n\r\n`],
    ['a chunk size of 17 digits', '10000000000000005\r\nhello\r\n0\r\n\r\n'],
    ['a chunk without its line end', '5\r\nhelloworld\r\n0\r\n\r\n'],
    ['a bare LF after a chunk size', '5\nhello\r\n0\r\n\r\n'],
    ['framing in trailers', '5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n'],
    ['trailers of 17 KB', `5\r\nhello\r\n0\r\nX-A: ${'x'.repeat(17_000)}\r\n\r\n`],
  ])('%s: refused in the middle of the body, and the backend gets no whole request', async (_what, body) => {
    const { status } = refusalIn(await send(post(['Transfer-Encoding: chunked'], body) + next))
    expect([400, 413, 431]).toContain(status)
  })

  test.each([
    ['absolute with a user', 'GET http://u:p@a/first HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['two Hosts', get('Host: a', 'Host: b')],
    ['bare LF', 'GET /first HTTP/1.1\nHost: a\n\n'],
    ['CONNECT', 'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n'],
  ])('%s: what is sent after the refusal has come is neither answered nor seen', async (_what, bytes) => {
    await ask(edge.port, '/fence')
    backend.forget()
    const wire = await Wire.to(edge.port)
    wire.write(bytes)
    await wire.ended
    const refusal = wire.text
    wire.write(next)
    wire.end()
    await ask(edge.port, '/fence')
    expect(wire.text).toBe(refusal)
  })
})

describe('a faulty request behind a good one', () => {
  const good = get('Host: a')

  test.each([
    ['garbage', 'GARBAGE\r\n\r\n', [200, 400]],
    ['a request with two Hosts', get('Host: a', 'Host: b'), [200, 400]],
    ['a request with a broken body', post(['Transfer-Encoding: chunked'], 'x\r\n'), [200, 400]],
    ['a CONNECT', 'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n', [200, 405]],
    ['half a request, and then nothing', 'GET /second HTT', [200, 408]],
  ])('%s is refused after the answer to the good one, not in its place', async (_what, bad, statuses) => {
    const { answers, end } = await send(good + bad)
    expect(answers.map(({ status }) => status)).toEqual(statuses)
    expect(JSON.parse(answers[0]?.body ?? '')).toMatchObject({ target: '/first' })
    expect(end).toBe('closed')
    expect(seenTargets()).toEqual(['/first'])
  })

  test.each(['GARBAGE\r\n\r\n', next])(
    'what follows a request with Connection: close is not looked at: %j',
    async (rest) => {
      const { answers, end } = await send(get('Host: a', 'Connection: close') + rest)
      expect([answers.map(({ status }) => status), end]).toEqual([[200], 'closed'])
      expect(seenTargets()).toEqual(['/first'])
    },
  )

  test('an Upgrade behind a request that is not answered yet is a request like others', async () => {
    const upgrade = 'GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
    const { answers } = await send(good + upgrade)
    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    expect(seenTargets()).toEqual(['/first', '/upgrade'])
    expect(seen().flatMap((request) => valuesOf(request, 'upgrade'))).toEqual([])
  })
})

const numbered = (count: number): string =>
  Array.from({ length: count }, (_, index) => `POST /${index} HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx`).join(
    '',
  )

describe('requests that are sent ahead', () => {
  test('reach the backend one after the other, and are answered in their order', async () => {
    let atOnce = 0
    backend.answer = ({ target }, socket) => {
      atOnce += 1
      setImmediate(() => {
        socket.write(
          `HTTP/1.1 200 OK\r\nContent-Length: ${target.length}\r\n\r\n${atOnce === 1 ? target : 'overtaken'}`,
        )
        atOnce -= 1
      })
    }
    try {
      const { answers } = await converse(edge.port, numbered(50) + next)
      expect(answers.map(({ body }) => body)).toEqual([
        ...Array.from({ length: 50 }, (_, index) => `/${index}`),
        '/next',
      ])
    } finally {
      backend.answer = echo
    }
  })
})

describe('an Upgrade of this connection itself', () => {
  test.each(['h2c', 'H2C', 'websocket, h2c', 'TLS/1.0', 'HTTP/2.0'])('%s is not passed on', async (protocol) => {
    const fields = [
      'Host: a',
      'Connection: Upgrade, HTTP2-Settings',
      `Upgrade: ${protocol}`,
      'HTTP2-Settings: AAMAAABk',
    ]
    const { answers } = await sendTo(edge, get(...fields, 'Connection: close'))
    expect(answers.map(({ status }) => status)).toEqual([200])
    expect(seen().flatMap(({ fields: passed }) => passed.map(([name]) => name.toLowerCase()))).not.toContain('upgrade')
    expect(seen().flatMap((request) => valuesOf(request, 'http2-settings'))).toEqual([])
  })

  test('is ignored, and the connection goes on', async () => {
    const wire = await Wire.to(edge.port)
    wire.write(get('Host: a', 'Connection: Upgrade', 'Upgrade: h2c'))
    await wire.saw(/"target":"\/first"[^]*\}$/)
    wire.write(next)
    expect(await wire.saw('"target":"/next"')).toContain('connection: keep-alive'.replace('c', 'C'))
    wire.destroy()
  })

  test('ends the connection after its answer when more came with it, of which nothing is served', async () => {
    const { answers, end } = await send(get('Host: a', 'Connection: Upgrade', 'Upgrade: h2c') + next)
    expect([answers.map(({ status }) => status), end]).toEqual([[200], 'closed'])
    expect(answers[0]?.head).toContain('connection: close')
    expect(seenTargets()).toEqual(['/first'])
  })

  test('does not make the end of one request the beginning of another', async () => {
    const wire = await Wire.to(edge.port)
    const body = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n'
    const second = post([`Content-Length: ${body.length}`], '').replace('/first', '/second')
    backend.forget()
    wire.write(get('Host: a', 'Connection: Upgrade', 'Upgrade: h2c') + second)
    wire.write(body)
    await wire.ended
    wire.destroy()
    await ask(edge.port, '/fence')
    expect(seenTargets()).toEqual(['/first'])
  })
})

/** All fields that any server might take for the client's address. */
async function told(to: RunningEdge, ...lines: string[]): Promise<string[]> {
  await sendTo(to, get('Host: a', 'Connection: close', ...lines))
  const fields = seen().flatMap((request) => request.fields)
  return fields
    .filter(([name]) => /^(?:x[-_]forwarded[-_]for|x[-_]real[-_]ip|forwarded)$/i.test(name))
    .map(([name, value]) => `${name}: ${value}`)
}

describe('who the client is', () => {
  const claims = [
    'X-Forwarded-For: 203.0.113.9',
    'X_Forwarded_For: 203.0.113.10',
    'X-Forwarded_For: 203.0.113.11',
    'X-Real-IP: 203.0.113.12',
    'X_Real_IP: 203.0.113.13',
    'Forwarded: for=203.0.113.14',
  ]
  test('is not for a stranger to say', async () => {
    expect(await told(edge, ...claims)).toEqual(['X-Forwarded-For: 127.0.0.1', 'X-Real-IP: 127.0.0.1'])
  })

  test('is for a trusted proxy to say, in X-Forwarded-For only', async () => {
    const believed = ['X-Forwarded-For: 203.0.113.9, 127.0.0.1', 'X-Real-IP: 203.0.113.9']
    expect(await told(trusting, ...claims)).toEqual(believed)
  })

  test.each([
    ['203.0.113.9, 127.0.0.2', '203.0.113.9'],
    ['1.1.1.1, 203.0.113.9, 127.0.0.2', '203.0.113.9'],
    ['1.1.1.1, fe80::1%eth0', 'fe80::1'],
    ['1.1.1.1, 203.0.113.9:80', '203.0.113.9'],
    ['1.1.1.1, "203.0.113.9"', '203.0.113.9'],
    ['::ffff:203.0.113.9', '203.0.113.9'],
    ['2001:DB8:0::1', '2001:db8::1'],
  ])('is the last hop that no trusted proxy is: %s', async (chain, client) => {
    expect(await told(trusting, `X-Forwarded-For: ${chain}`)).toContain(`X-Real-IP: ${client}`)
  })

  test.each(['1.1.1.1, unknown', '1.1.1.1, 0177.0.0.1', '1.1.1.1, 2130706433'])(
    'is not known when the last hop is no address, and never the proxy: %s',
    async (chain) => {
      expect(await told(trusting, `X-Forwarded-For: ${chain}`)).toEqual([`X-Forwarded-For: ${chain}, 127.0.0.1`])
    },
  )

  test.each([
    ['a stranger', () => edge],
    ['a trusted proxy', () => trusting],
  ])('is said also when Connection of %s names the field', async (_who, to) => {
    const nominated = 'Connection: close, X-Forwarded-For, X-Real-IP, X_Forwarded_For'
    const fields = await told(to(), ...claims, nominated)
    expect(fields).toEqual(['X-Forwarded-For: 127.0.0.1', expect.stringMatching(/^X-Real-IP: /)])
  })
})

test.each([
  'X-Forwarded-Host: evil.test',
  'X-Original-URL: /other',
  'X-Rewrite-URL: /other',
  'X-HTTP-Method-Override: PUT',
])('%s changes neither where a request goes nor its line', async (line) => {
  await send(get('Host: a', 'Connection: close', line))
  expect(seen()).toMatchObject([{ method: 'GET', target: '/first' }])
  expect(valuesOf(seen()[0] as SeenRequest, 'host')).toEqual(['a'])
})

const absolute = (url: string, ...lines: string[]): string =>
  [`GET ${url} HTTP/1.1`, 'Host: a', 'Connection: close', ...lines, '', ''].join('\r\n')

describe('a target in absolute form', () => {
  test.each([
    ['http://b/first', '/first', 'b'],
    ['HTTPS://b:8443/first?x=http://c/', '/first?x=http://c/', 'b:8443'],
    ['http://[2001:db8::1]:80/first', '/first', '[2001:db8::1]:80'],
    ['http://b', '/', 'b'],
    ['http://b?x', '/?x', 'b'],
    ['http://b//first', '//first', 'b'],
  ])('%s asks for %s of %s', async (url, target, host) => {
    const { answers, end } = await send(absolute(url, 'X-Forwarded-Host: c'))
    expect([answers.map(({ status }) => status), end]).toEqual([[200], 'closed'])
    expect(seenTargets()).toEqual([target])
    expect(valuesOf(seen()[0] as SeenRequest, 'host')).toEqual([host])
    expect(valuesOf(seen()[0] as SeenRequest, 'x-forwarded-host')).toEqual([host])
  })

  test('needs no Host in HTTP/1.0', async () => {
    expect((await send('GET http://b/first HTTP/1.0\r\n\r\n')).answers.map(({ status }) => status)).toEqual([200])
    expect(valuesOf(seen()[0] as SeenRequest, 'host')).toEqual(['b'])
  })

  test.each(['http://a/stats', 'http://a/x/../stats', 'http://a//stats', 'http://a/%73tats'])(
    'does not lead to what is hidden: %s',
    async (url) => {
      expect((await send(absolute(url))).answers.map(({ status }) => status)).toEqual([404])
      expect(seenTargets()).toEqual([])
    },
  )
})

describe('OPTIONS about the edge as a whole', () => {
  test.each([
    ['in asterisk form', 'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['of HTTP/1.0, as HAProxy checks health', 'OPTIONS * HTTP/1.0\r\n\r\n'],
    ['in absolute form without a path', 'OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n'],
  ])('%s is answered by the edge', async (_what, bytes) => {
    const { answers } = await send(bytes.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'))
    expect(answers.map(({ status, body }) => [status, body])).toEqual([[200, '']])
    expect(answers[0]?.head).toMatch(/^allow: GET, HEAD, POST, /im)
    expect(seenTargets()).toEqual([])
  })

  test('leaves the connection to the next request, unless it brings a body', async () => {
    const { answers } = await send(`OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n${next}`)
    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    expect(seenTargets()).toEqual(['/next'])
    const withBody = await send(`OPTIONS * HTTP/1.1\r\nHost: a\r\nContent-Length: ${next.length}\r\n\r\n${next}`)
    expect(withBody.answers.map(({ status }) => status)).toEqual([200])
    expect(seenTargets()).toEqual([])
  })
})

const hidden = (
  '/metrics /stats /cache /cache/8.8.8.8 /keys /admin /admin/x /STATS /Cache /stats/ /stats?x=1 /stats;x //stats /./stats ' +
  '/x/../stats /x/..;/stats /%73tats /%2573tats /%2fstats /%2f..%2fstats /x/%2e%2e/stats /stats%00 /stats%2f ' +
  '/stats%0d%0a /stats%20 /\\stats /x\\..\\stats /%5cstats /x/%252e%252e/stats /%c0%af/stats /stats%23x /stats%3fx'
).split(' ')

/** Of somebody whose address is not a private one. */
function asOutsider(method: string, target: string): string {
  return `${method} ${target} HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.9\r\nConnection: close\r\n\r\n`
}

describe('what the replicas offer their operators', () => {
  test.each(hidden)('%s is not there for anybody outside', async (target) => {
    const { answers } = await sendTo(trusting, asOutsider('GET', target))
    expect(answers.map(({ status }) => status)).toEqual([404])
    expect(seenTargets()).toEqual([])
  })

  test('is refused with the same words whether it exists or not, whatever the method and the token', async () => {
    const bodies = new Set<string>()
    for (const method of ['GET', 'DELETE', 'POST', 'PUT']) {
      for (const target of ['/cache', '/cache/nothing', '/keys', '/admin/none', '/metrics']) {
        const request = asOutsider(method, target).replace('Host: a', 'Host: a\r\nAuthorization: Bearer secret')
        const [answer] = (await sendTo(trusting, request)).answers
        bodies.add(`${answer?.head.replaceAll(/^(?:date|x-request-id): .*/gim, '')}${answer?.body}`)
        expect(seenTargets()).toEqual([])
      }
    }
    expect(bodies.size).toBe(1)
  })

  test('leaves other paths alone', async () => {
    for (const target of ['/statistics', '/8.8.8.8?x=/stats', '/8.8.8.8/cached']) {
      expect((await sendTo(trusting, asOutsider('GET', target))).answers[0]?.status).toBe(200)
      expect(seenTargets()).toEqual([target])
    }
  })
})
