import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { converse, type Conversation } from '@ipfleet/testing/raw-conversation.ts'
import { bodyOf, okHead, ProxyHarness, requestHead } from './proxy-harness.ts'

/** Requests and answers that can be read in two ways, or in none. */
let harness: ProxyHarness
beforeAll(async () => {
  harness = await ProxyHarness.start()
})
afterEach(() => harness.clear())
afterAll(() => harness[Symbol.asyncDispose]())

const ok = (lines: string, body = ''): string => `HTTP/1.1 200 OK\r\n${lines}\r\n\r\n${body}`

describe('an answer that can be read in two ways, or in none, is 502 as JSON', () => {
  test.each<[string, string]>([
    ['two lengths', ok('Content-Length: 6\r\nContent-Length: 0', 'poison')],
    ['a list of two lengths', ok('Content-Length: 6, 0', 'poison')],
    ['a length with a sign', ok('Content-Length: +6', 'poison')],
    ['a coding nobody knows', ok('Transfer-Encoding: xchunked', '0\r\n\r\npoison')],
    ['a bare CR in a value', ok('X-A: b\rX-B: c\r\nContent-Length: 6', 'poison')],
    ['a NUL in a value', ok('X-A: b\0c\r\nContent-Length: 6', 'poison')],
    ['a status of 099', 'HTTP/1.1 099 OK\r\nContent-Length: 6\r\n\r\npoison'],
    ['a page without a head', '<html><body>poison</body></html>\r\n\r\n'],
    ['a greeting of another protocol', 'SSH-2.0-poison\r\n'],
    ['an alert of TLS', '\x15\x03\x01\x00\x02\x02\x16'],
    ['a head of 70 KB', ok(`X-A: ${'x'.repeat(70_000)}\r\nContent-Length: 6`, 'poison')],
  ])('%s', async (_what, bytes) => {
    const { client, server } = await harness.get('/', 'Connection: close')
    server.write(bytes)
    expect(await client.ended).toBe('closed')
    expect(client.text).toMatch(/^HTTP\/1\.1 502 .*\r\n/)
    expect(client.text).toMatch(/^proxy-status: ipfleet-egress; error=http_protocol_error/im)
    expect(client.text).toMatch(/^content-type: application\/json/im)
    expect(JSON.parse(bodyOf(client))).toMatchObject({ status: 502 })
    expect(client.text).not.toContain('poison')
  })

  test('more than was asked for is nobody’s answer', async () => {
    const { client, server } = await harness.get('/first')
    server.write(ok('Content-Length: 4', 'mine') + ok('Content-Length: 6', 'poison'))
    await client.saw('mine')
    client.write(requestHead(`GET ${harness.url('/second')}`))
    const next = await harness.accept()
    await next.saw('\r\n\r\n')
    next.write(`${okHead('Content-Length: 4')}next`)
    expect(await client.saw('next')).not.toContain('poison')
  })
})

describe('an answer that can be put right in one way only is', () => {
  const chunked = '4\r\nfine\r\n0\r\n\r\n'

  test.each<[string, string, string]>([
    ['a length beside chunks', ok('Content-Length: 6\r\nTransfer-Encoding: chunked', chunked), ''],
    ['chunks beside a length', ok('Transfer-Encoding: chunked\r\nContent-Length: 0', chunked), ''],
    ['the same length twice', ok('Content-Length: 4\r\nContent-Length: 4', 'fine'), 'Content-Length: 4'],
    ['a list of equal lengths', ok('Content-Length: 4, 4', 'fine'), 'Content-Length: 4'],
    ['a coding that is none', ok('Transfer-Encoding: identity\r\nContent-Length: 4', 'fine'), 'Content-Length: 4'],
    ['chunks in HTTP/1.0', ok('Transfer-Encoding: chunked', chunked).replace('1.1', '1.0'), ''],
    ['a blank before a colon', ok('X-A : b\r\nContent-Length : 4', 'fine'), 'X-A: b'],
    ['a folded field', ok('X-A: b\r\n\tc\r\nContent-Length: 4', 'fine'), 'X-A: b c'],
  ])('%s', async (_what, bytes, field) => {
    const { client, server } = await harness.get('/', 'Connection: close')
    server.write(bytes)
    await client.ended
    const [head = '', body = ''] = client.text.split('\r\n\r\n')
    expect(head).toContain(`HTTP/1.1 200 OK\r\n${field}`)
    expect(head.split(/\r\nContent-Length:/i).length - 1).toBe(field === '' ? 0 : 1)
    expect(body).toContain('fine')
    expect(await server.ended).toBe('closed')
  })
})

/** A request that would reach the origin if it were not for what is odd about it. */
const get = (...fields: readonly string[]): string => [`GET ${harness.url()} HTTP/1.1`, ...fields, '', ''].join('\r\n')
const post = (fields: readonly string[], body: string): string =>
  [`POST ${harness.url()} HTTP/1.1`, 'Host: a', ...fields, '', body].join('\r\n')
const toBytes = (sent: string | Buffer): Buffer => (typeof sent === 'string' ? Buffer.from(sent, 'latin1') : sent)
const chunks = '5\r\nhello\r\n0\r\n\r\n'

/** One refusal as JSON, and then the end of the connection, whatever else was sent; the origin has seen nothing. */
function expectRefusal({ answers, rest, end }: Conversation, statuses: readonly number[]): void {
  expect([answers.length, rest, end]).toEqual([1, '', 'closed'])
  expect(statuses).toContain(answers[0]?.status)
  expect(answers[0]?.head).toContain('content-type: application/json')
  expect(answers[0]?.head).toContain('connection: close')
  expect(JSON.parse(answers[0]?.body ?? '')).toMatchObject({ status: answers[0]?.status })
  expect(harness.origin.waiting).toBe(0)
}

describe('a request that is malformed or ambiguous is refused as JSON, and so is all behind it', () => {
  test.each<[string, () => string | Buffer, (readonly number[])?]>([
    ['Content-Length and Transfer-Encoding', () => post(['Content-Length: 5', 'Transfer-Encoding: chunked'], chunks)],
    ['Transfer-Encoding and Content-Length', () => post(['Transfer-Encoding: chunked', 'Content-Length: 5'], chunks)],
    ['two Content-Lengths', () => post(['Content-Length: 5', 'Content-Length: 6'], 'hello!')],
    ['the same Content-Length twice', () => post(['Content-Length: 5', 'Content-Length: 5'], 'hello')],
    ['a Content-Length with a sign', () => post(['Content-Length: +5'], 'hello')],
    ['a Content-Length of 17 digits', () => post(['Content-Length: 99999999999999999'], 'hello')],
    ['a Content-Length of 20 digits', () => post(['Content-Length: 99999999999999999999'], 'hello')],
    ['a blank before the colon', () => post(['Transfer-Encoding : chunked'], chunks)],
    ['two Transfer-Encodings', () => post(['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'], chunks)],
    ['chunked, identity', () => post(['Transfer-Encoding: chunked, identity'], chunks)],
    ['xchunked', () => post(['Transfer-Encoding: xchunked'], chunks)],
    ['chunked in HTTP/1.0', () => post(['Transfer-Encoding: chunked'], chunks).replace('HTTP/1.1', 'HTTP/1.0')],
    ['a folded field', () => get('Host: a', 'X-A: b', ' c')],
    ['a field without a colon', () => get('Host: a', 'X-A')],
    ['bare LFs', () => get('Host: a').replaceAll('\r\n', '\n')],
    ['a bare LF in a value', () => get('Host: a', 'X-A: b\nX-B: c')],
    ['a bare CR', () => get('Host: a', 'X-A: b\rc')],
    ['a NUL in a value', () => get('Host: a', 'X-A: b\0c')],
    ['raw UTF-8 in the host', () => Buffer.from(get('Host: a').replace('//', '//é'))],
    ['raw UTF-8 and a fragment', () => Buffer.from(get('Host: a').replace('/ HTTP', '/é#f HTTP'))],
    ['a fragment', () => get('Host: a').replace('/ HTTP', '/#f HTTP')],
    ['user information with an at sign', () => get('Host: a').replace('://', '://u:p@x@')],
    ['another scheme', () => get('Host: a').replace('http:', 'https:')],
    ['an address in octal', () => get('Host: a').replace('127.0.0.1', '0177.0.0.1')],
    ['no Host', () => get()],
    ['an empty Host', () => get('Host:')],
    ['two Hosts', () => get('Host: a', 'Host: b')],
    ['the same Host twice', () => get('Host: a', 'hOST: a')],
    ['a Host with a path', () => get('Host: a/b@c')],
    ['no version', () => `GET ${harness.url()}\r\n\r\n`],
    ['HTTP/2.0', () => get('Host: a').replace('HTTP/1.1', 'HTTP/2.0'), [400, 505]],
    ['the beginning of HTTP/2', () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', [400, 505]],
    ['a method in small letters', () => get('Host: a').replace('GET', 'get')],
    ['an unknown method without a version', () => `BREW ${harness.url()}\r\n\r\n`],
    ['a TLS greeting', () => Buffer.from('160301020001000001fc0303', 'hex')],
    ['a header of the PROXY protocol', () => `PROXY TCP4 1.2.3.4 127.0.0.1 1 2\r\n${get('Host: a')}`],
    ['the second PROXY protocol', () => Buffer.from('0d0a0d0a000d0a515549540a20110000', 'hex')],
    ['more than 100 fields', () => get('Host: a', ...Array.from({ length: 150 }, (_, n) => `X-${n}: 1`)), [431]],
    ['a URL of 20 KB', () => get('Host: a').replace('/ HTTP', `/${'x'.repeat(20_000)} HTTP`), [414, 431]],
  ])('%s', async (_what, bytes, statuses = [400]) => {
    const sent = Buffer.concat([toBytes(bytes()), Buffer.from(get('Host: a'))])
    expectRefusal(await converse(harness.egress.port, sent), statuses)
  })
})

const port = (): number => harness.origin.port

describe('CONNECT whose target is no host and port is refused as JSON:', () => {
  test.each<[string, () => string]>([
    ['no port', () => '127.0.0.1'],
    ['an empty port', () => '127.0.0.1:'],
    ['no host', () => `:${port()}`],
    ['port 0', () => '127.0.0.1:0'],
    ['port 65536', () => '127.0.0.1:65536'],
    ['a port that is none', () => '127.0.0.1:$p'],
    ['a port with a zero before it', () => `127.0.0.1:0${port()}`],
    ['a path', () => `127.0.0.1:${port()}/`],
    ['a query', () => `127.0.0.1:${port()}?`],
    ['user information', () => `u:p@127.0.0.1:${port()}`],
    ['a URL', () => `http://127.0.0.1:${port()}`],
    ['half an IPv6 address', () => `[::1:${port()}`],
    ['an IPv6 address without brackets', () => `::1:${port()}`],
    ['a slash', () => '/'],
    ['an asterisk', () => '*'],
    ['an octal address', () => `0177.0.0.1:${port()}`],
    ['a NUL', () => `127.0.0.1\0:${port()}`],
    ['nothing', () => ''],
  ])('%s', async (_what, target) => {
    const bytes = `CONNECT ${target()} HTTP/1.1\r\nHost: 127.0.0.1:${port()}\r\n\r\n${get('Host: a')}`
    expectRefusal(await converse(harness.egress.port, bytes), [400])
  })

  test.each<[string, string]>([
    ['two Hosts', 'Host: x\r\nHost: x'],
    ['a body in chunks', 'Host: x\r\nTransfer-Encoding: chunked'],
    ['a body with a length', 'Host: x\r\nContent-Length: 5'],
  ])('%s', async (_what, fields) => {
    const lines = fields.replaceAll('x', harness.authority)
    const bytes = `CONNECT ${harness.authority} HTTP/1.1\r\n${lines}\r\n\r\n${chunks}`
    expectRefusal(await converse(harness.egress.port, bytes), [400])
  })
})
