import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { until } from '@ipfleet/testing/until.ts'
import { bodyOf, okHead, ProxyHarness, requestHead } from './proxy-harness.ts'

/** CONNECT: what is said to get a tunnel, and what a tunnel carries (RFC 9110 §9.3.6). */
const isOurs = (line: Readonly<Record<string, unknown>>): boolean => line['bytes_up'] === 5 && line['bytes_down'] === 3

let harness: ProxyHarness
beforeAll(async () => {
  harness = await ProxyHarness.start({ IP_POOL: '127.0.0.2' })
})
afterEach(() => harness.clear())
afterAll(() => harness[Symbol.asyncDispose]())

const connectHead = (...fields: readonly string[]): string =>
  requestHead(`CONNECT ${harness.authority}`, `Host: ${harness.authority}`, ...fields)

describe('the answer to CONNECT', () => {
  test('is 200 with the source address, and neither Content-Length nor Transfer-Encoding', async () => {
    const { client, server } = await harness.tunnel()
    expect(client.text).toBe('HTTP/1.1 200 Connection Established\r\nX-Egress-IP: 127.0.0.2\r\n\r\n')
    expect(server.socket.remoteAddress).toBe('127.0.0.2')
  })

  test('needs no more than a line of HTTP/1.0', async () => {
    const client = await harness.client(`CONNECT ${harness.authority} HTTP/1.0\r\n\r\n`)
    expect(await client.saw('\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /)
    await harness.accept()
  })

  test('has nothing of the CONNECT go to the origin', async () => {
    const { client, server } = await harness.tunnel()
    client.write('first')
    expect(await server.saw('first')).toBe('first')
  })

  test.each([
    ['a Host of the proxy', ['Host: 127.0.0.1:7777']],
    ['a Host of another name', ['Host: example.com']],
    ['none', []],
  ])('is for the request line, with %s', async (_what, fields) => {
    const client = await harness.client([`CONNECT ${harness.authority} HTTP/1.1`, ...fields, '', ''].join('\r\n'))
    expect(await client.saw('\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /)
    await harness.accept()
  })

  test.each([
    ['lines that end in LF alone', (head: string) => head.replaceAll('\r\n', '\n')],
    ['an empty line that ends in LF alone', (head: string) => head.replace(/\r\n$/, '\n')],
    ['bytes over 0x7f in a field', (head: string) => head.replace('\r\n\r\n', '\r\nX-A: \xe9\xff\r\n\r\n')],
    ['much behind it', (head: string) => head + 'x'.repeat(100_000)],
  ])('is 200 for %s', async (_what, changed) => {
    const client = await harness.client(changed(connectHead()))
    expect(await client.saw('\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /)
    await harness.accept()
  })

  test('is 200 when its bytes come one by one', async () => {
    const client = await harness.client('')
    for (const byte of connectHead()) {
      client.write(byte)
      await nextTurn()
    }
    await client.saw('\r\n\r\n')
    const server = await harness.accept()
    client.write('first')
    expect(await server.saw('first')).toBe('first')
  })

  test('is 200 behind another request on the same connection', async () => {
    const { client, server } = await harness.get('/')
    server.write(okHead('Content-Length: 2') + 'ok')
    await client.saw('ok')
    client.write(`CONNECT ${harness.authority} HTTP/1.1\r\nHost: other\r\n\r\n`)
    expect(await client.saw('Connection Established\r\n')).toContain('200')
    await harness.accept()
  })

  test.each([
    ['no port', () => 'CONNECT example.com HTTP/1.1\r\n\r\n', 400],
    ['a blank in the target', () => 'CONNECT a b:443 HTTP/1.1\r\n\r\n', 400],
    ['another version', () => 'CONNECT a:443 HTTP/2.0\r\n\r\n', 400],
    ['a blank before a colon', () => 'CONNECT a:443 HTTP/1.1\r\nHost : a\r\n\r\n', 400],
    ['a folded line', () => 'CONNECT a:443 HTTP/1.1\r\nX-A: b\r\n c\r\n\r\n', 400],
    ['a bare CR', () => 'CONNECT a:443 HTTP/1.1\r\nX-A: b\rc\r\n\r\n', 400],
    ['NUL in a field', () => 'CONNECT a:443 HTTP/1.1\r\nX-A: \0\r\n\r\n', 400],
    ['a body', () => `${requestHead(`CONNECT ${harness.authority}`, 'Content-Length: 2')}ok`, 400],
    ['two Hosts', () => requestHead(`CONNECT ${harness.authority}`, 'Host: a', 'Host: a'), 400],
    ['chunks', () => `${requestHead(`CONNECT ${harness.authority}`, 'Transfer-Encoding: chunked')}0\r\n\r\n`, 400],
    ['too many fields', () => requestHead(`CONNECT ${harness.authority}`, ...Array<string>(101).fill('A: b')), 400],
    ['a head without an end', () => `CONNECT a:443 HTTP/1.1\r\nX-A: ${'x'.repeat(20_000)}`, 431],
  ])('refuses %s', async (_what, head, status) => {
    const client = await harness.client(head())
    await client.saw(/\r\n\r\n.*}/s)
    expect(await client.ended).toBe('closed')
    expect(client.text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} .*\\r\\ncontent-type: application/json`, 'is'))
    expect(harness.origin.waiting).toBe(0)
  })
})

describe('early data', () => {
  test('that comes with the CONNECT reaches the origin once, in order, before what follows', async () => {
    const client = await harness.client(`${connectHead()}one, `)
    client.write('two, ')
    await client.saw('\r\n\r\n')
    client.write('three.')
    const server = await harness.accept()
    await server.saw('.')
    expect(server.text).toBe('one, two, three.')
  })

  test('of any kind and length reaches the origin byte for byte', async () => {
    const early = Buffer.alloc(1_000_000, Buffer.from(Array.from({ length: 251 }, (_, byte) => byte)))
    const client = await harness.client(connectHead() + early.toString('latin1'))
    const server = await harness.accept()
    await until(() => server.text.length >= early.length)
    expect(Buffer.from(server.text, 'latin1').equals(early)).toBe(true)
    expect(bodyOf(client)).toBe('')
  })

  test('of an origin that speaks first comes behind the 200', async () => {
    const client = await harness.client(connectHead())
    const server = await harness.accept()
    server.write('220 ready')
    expect(await client.saw('220 ready')).toMatch(/^HTTP\/1\.1 200 .*\r\n\r\n220 ready$/s)
  })
})

describe('a tunnel', () => {
  test('still brings the rest of what the origin says after the client has closed its half', async () => {
    const { client, server } = await harness.tunnel()
    client.write('question')
    client.end()
    await server.saw('question')
    expect(await server.ended).toBe('closed')
    const rest = 'x'.repeat(1_000_000)
    server.write(rest)
    server.end()
    expect(await client.ended).toBe('closed')
    expect(bodyOf(client)).toHaveLength(rest.length)
  })

  test('still takes the rest of what the client says after the origin has closed its half', async () => {
    const { client, server } = await harness.tunnel()
    server.write('greeting')
    server.end()
    await client.saw('greeting')
    expect(await client.ended).toBe('closed')
    const rest = 'x'.repeat(1_000_000)
    client.write(rest)
    client.end()
    expect(await server.ended).toBe('closed')
    expect(server.text).toHaveLength(rest.length)
  })

  test.each([
    ['client', 'server'],
    ['server', 'client'],
  ] as const)('that breaks for the %s is over for the %s', async (broken, left) => {
    const ends = await harness.tunnel()
    ends[broken].reset()
    await ends[left].ended
    ends[left].end()
    await harness.egress.waitForLine(({ end, target }) => end === 'broken' && target === harness.authority)
  })

  test('is told in the log when it has ended: bytes both ways, source, target, reason', async () => {
    const { client, server } = await harness.tunnel()
    client.write('12345')
    await server.saw('12345')
    server.write('123')
    await client.saw('123')
    client.end()
    server.end()
    expect(await harness.egress.waitForLine(isOurs)).toMatchObject({
      msg: 'tunnel closed',
      target: harness.authority,
      source: '127.0.0.2',
      client: '127.0.0.1',
      end: 'closed',
    })
  })
})

test('behind a request that is not answered yet no tunnel is opened; what came before is answered', async () => {
  const { client, server } = await harness.ask(requestHead(`GET ${harness.url('/first')}`) + connectHead())
  server.write(okHead('Content-Length: 1000000'))
  server.write('x'.repeat(1_000_000))
  await client.ended
  const { text } = client
  expect(text.slice(0, text.indexOf('\r\n\r\n') + 4 + 1_000_000)).toMatch(/^HTTP\/1\.1 200 .*x$/s)
  expect(text.slice(text.indexOf('\r\n\r\n') + 4 + 1_000_000)).toMatch(/^HTTP\/1\.1 400 .*"status": 400/s)
  expect(harness.origin.waiting).toBe(0)
})
