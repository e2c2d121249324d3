import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import type { Wire } from '@ipfleet/testing/wire.ts'
import { bodyOf, okHead, ProxyHarness, requestHead } from './proxy-harness.ts'

/** Bodies of requests, and who is asked whether they may come (RFC 9110 §10.1.1). */
let harness: ProxyHarness
beforeAll(async () => {
  harness = await ProxyHarness.start()
})
afterEach(() => harness.clear())
afterAll(() => harness[Symbol.asyncDispose]())

const framing = ({ text }: Wire): readonly string[] =>
  text.match(/^(?:content-length|transfer-encoding|connection): .*(?=\r$)/gim)?.toSorted() ?? []

describe('a request', () => {
  test('with a length keeps it, and goes on bit by bit', async () => {
    const { client, server } = await harness.post(['Content-Length: 6'], 'ab')
    await server.saw('ab')
    for (const part of ['cd', 'ef']) {
      client.write(part)
      await server.saw(part)
    }
    expect([framing(server), bodyOf(server)]).toEqual([['Connection: close', 'Content-Length: 6'], 'abcdef'])
  })

  test('with an empty body says so', async () => {
    const { server } = await harness.post(['Content-Length: 0'])
    expect(framing(server)).toEqual(['Connection: close', 'Content-Length: 0'])
  })

  test('in chunks goes on in chunks, each when it is sent, without its extensions', async () => {
    const { client, server } = await harness.post(['Transfer-Encoding: chunked'])
    for (const part of ['one', 'three']) {
      client.write(`${part.length};ext="x"\r\n${part}\r\n`)
      await server.saw(part)
    }
    client.write('0\r\n\r\n')
    await server.saw('\r\n0\r\n\r\n')
    expect([framing(server), bodyOf(server)]).toEqual([
      ['Connection: close', 'Transfer-Encoding: chunked'],
      '3\r\none\r\n5\r\nthree\r\n0\r\n\r\n',
    ])
  })

  test.each(['GET', 'DELETE', 'OPTIONS'])('may have a body whatever its method is: %s', async (method) => {
    const { server } = await harness.ask(`${requestHead(`${method} ${harness.url()}`, 'Content-Length: 4')}body`)
    await server.saw('body')
    expect(framing(server)).toEqual(['Connection: close', 'Content-Length: 4'])
  })

  test('may go on while its answer has begun: each side hears the other at once', async () => {
    const { client, server } = await harness.post(['Content-Length: 4'], 'ab')
    await server.saw('ab')
    server.write(okHead('Content-Length: 16'))
    server.write('heard ab')
    await client.saw('heard ab')
    client.write('cd')
    await server.saw('cd')
    server.write('heard cd')
    await client.saw('heard cd')
  })

  test.each([413, 200])('is not waited for when it is answered in the middle: %i', async (status) => {
    const { client, server } = await harness.post(['Content-Length: 100000000'], 'the beginning')
    await server.saw('the beginning')
    server.write(`HTTP/1.1 ${status} No\r\nContent-Length: 6\r\n\r\nenough`)
    await client.saw('enough')
    expect(client.text).toMatch(/^Connection: close\r$/m)
    expect([await client.ended, await server.ended]).toEqual(['closed', 'closed'])
  })

  test('that is cut off never has a made-up end', async () => {
    const { client, server } = await harness.post(['Transfer-Encoding: chunked'], '4\r\nsome\r\n')
    await server.saw('some')
    client.end()
    await server.ended
    expect(server.text).not.toContain('\r\n0\r\n')
  })

  test.each([
    ['a size that is none', 'x\r\n\r\n'],
    ['a chunk longer than its size', '1\r\nab\r\n0\r\n\r\n'],
    ['an extension of 20 KB', `1;${'x'.repeat(20_000)}\r\na\r\n0\r\n\r\n`],
  ])('that goes wrong in its chunks is 400 as JSON, and never whole for the origin: %s', async (_what, rest) => {
    const { client, server } = await harness.post(['Transfer-Encoding: chunked'], '4\r\nsome\r\n')
    await server.saw('some')
    client.write(rest)
    await server.ended
    expect(server.text).not.toContain('\r\n0\r\n')
    await client.ended
    expect(client.text).toMatch(/^HTTP\/1\.1 400 .*"status": 400/s)
  })
})

describe('Expect: 100-continue', () => {
  test('is passed on, and the client told to go on when the origin says so, not before', async () => {
    const { client, server } = await harness.post(['Content-Length: 4', 'Expect: 100-Continue'])
    expect(server.text).toMatch(/^Expect: 100-continue\r$/m)
    // Had the proxy said so by itself, it would have done it when it read the request.
    expect(client.text).toBe('')
    server.write('HTTP/1.1 100 Continue\r\n\r\n')
    expect(await client.saw('\r\n\r\n')).toBe('HTTP/1.1 100 Continue\r\n\r\n')
    client.write('body')
    await server.saw('body')
    server.write('HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n')
    await client.saw('HTTP/1.1 201 Created')
  })

  test('is answered finally without the body, when the origin will not have it', async () => {
    const { client, server } = await harness.post(['Content-Length: 400', 'Expect: 100-continue'])
    server.write('HTTP/1.1 401 Unauthorized\r\nContent-Length: 6\r\n\r\nno way')
    await client.saw('no way')
    expect(client.text).toMatch(/^HTTP\/1\.1 401 Unauthorized\r\n/)
    expect(client.text).toMatch(/^Connection: close\r$/m)
    expect(await client.ended).toBe('closed')
  })

  test('does not hold up a client that does not wait', async () => {
    const { client, server } = await harness.post(
      ['Transfer-Encoding: chunked', 'Expect: 100-continue'],
      '4\r\nbody\r\n0\r\n\r\n',
    )
    await server.saw('4\r\nbody\r\n0\r\n\r\n')
    server.write(okHead('Content-Length: 0'))
    expect(await client.saw('\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
  })

  test('of HTTP/1.0 is of no account: no interim answer comes', async () => {
    const { client, server } = await harness.ask(
      `POST ${harness.url()} HTTP/1.0\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nbody`,
    )
    await server.saw('body')
    server.write(`HTTP/1.1 100 Continue\r\n\r\n${okHead('Content-Length: 2')}ok`)
    expect(await client.saw('ok')).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
  })

  test.each(['200-ok', '100-continue, x', 'x 100-continue'])(
    'is all that can be expected: 417 for %s',
    async (other) => {
      const client = await harness.client(requestHead(`POST ${harness.url()}`, 'Content-Length: 4', `Expect: ${other}`))
      await client.saw('no expectation but 100-continue')
      expect(client.text).toMatch(/^HTTP\/1\.1 417 .*\r\n/)
      expect(client.text).toMatch(/^content-type: application\/json/im)
      expect(await client.ended).toBe('closed')
      expect(harness.origin.waiting).toBe(0)
    },
  )
})
