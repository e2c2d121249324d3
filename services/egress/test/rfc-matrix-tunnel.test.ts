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

  test.each(['example.com', '127.0.0.1:1', '127.0.0.2'])('is 400 when Host is another: %s', async (host) => {
    const client = await harness.client(requestHead(`CONNECT ${harness.authority}`, `Host: ${host}`))
    await client.saw(/\r\n\r\n.*}/s)
    expect(await client.ended).toBe('closed')
    expect(client.text).toMatch(/^HTTP\/1\.1 400 .*\r\ncontent-type: application\/json/is)
    expect(client.text).toMatch(/^proxy-status: ipfleet-egress; error=http_request_error\r$/im)
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
