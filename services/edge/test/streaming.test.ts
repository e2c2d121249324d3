import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { ScriptedBackend } from '@ipfleet/testing/scripted-backend.ts'
import { Wire } from '@ipfleet/testing/wire.ts'
import { type RunningEdge, startEdge } from './start-edge.ts'

/** What is sent bit by bit is passed on bit by bit. Both ends are driven by hand, so that each knows what the other has. */
let backend: ScriptedBackend
let edge: RunningEdge
let client: Wire
let server: Wire
beforeAll(async () => {
  backend = await ScriptedBackend.start()
  edge = await startEdge({ backends: [backend.port] })
})
afterEach(() => {
  client.destroy()
  server.destroy()
})
afterAll(async () => {
  await edge.stop()
  await backend[Symbol.asyncDispose]()
})

/** Sends the head of a request and resolves when the backend has it. */
async function ask(lines: readonly string[], body = ''): Promise<void> {
  client = await Wire.to(edge.port)
  client.write([...lines, '', body].join('\r\n'))
  server = await backend.accept()
  await server.saw('\r\n\r\n')
}

const get = (...fields: string[]): readonly string[] => ['GET / HTTP/1.1', 'Host: a', ...fields]
const post = (...fields: string[]): readonly string[] => ['POST / HTTP/1.1', 'Host: a', ...fields]
const ok = (...fields: string[]): string => ['HTTP/1.1 200 OK', ...fields, '', ''].join('\r\n')
const bodyOf = ({ text }: Wire): string => text.slice(text.indexOf('\r\n\r\n') + 4)

describe('an answer', () => {
  test('reaches the client event by event, as they are sent', async () => {
    await ask(get('Accept: text/event-stream'))
    server.write(ok('Content-Type: text/event-stream', 'Transfer-Encoding: chunked'))
    await client.saw('text/event-stream')
    for (const number of [1, 2, 3]) {
      const event = `data: ${number}\n\n`
      server.write(`${event.length.toString(16)}\r\n${event}\r\n`)
      await client.saw(event)
    }
    server.write('0\r\n\r\n')
    await client.saw('\r\n0\r\n\r\n')
  })

  test.each([
    ['a length', 'Content-Length: 6'],
    ['chunks', 'Transfer-Encoding: chunked'],
    ['an end with the connection', 'X-Nothing: 1'],
  ])('with %s has its head there before any of its body', async (_what, framing) => {
    await ask(get())
    server.write(ok(framing))
    expect(await client.saw('\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
  })

  test('may be slow bit by bit, with a length', async () => {
    await ask(get())
    server.write(ok('Content-Length: 6'))
    let body = ''
    for (const part of ['ab', 'cd', 'ef']) {
      server.write(part)
      body += part
      await client.saw(`\r\n\r\n${body}`)
    }
    expect(bodyOf(client)).toBe('abcdef')
  })

  test('that ends with the connection ends, for the client, as it should', async () => {
    await ask(get())
    server.write(ok())
    server.write('all of it')
    await client.saw('all of it')
    expect(client.text).not.toContain('\r\n0\r\n\r\n')
    server.end()
    await client.saw('\r\n0\r\n\r\n')
  })

  test('has its trailers at the end, but for those that say how to read it or who asks', async () => {
    await ask(get('TE: trailers', 'Connection: TE'))
    expect(server.text).toMatch(/^TE: trailers\r$/im)
    server.write(ok('Transfer-Encoding: chunked', 'Trailer: X-Sum'))
    const bad = [
      'Content-Length: 3',
      'Transfer-Encoding: x',
      'Set-Cookie: a=b',
      'Connection: x',
      'Host: b',
      'X-Backend: b',
    ]
    server.write(`4\r\nbody\r\n0\r\nX-Sum: 1\xe9\r\n${bad.join('\r\n')}\r\nX-sum: 2\r\n\r\n`)
    await client.saw(/\r\n0\r\n.*\r\n\r\n$/s)
    expect(client.text).toMatch(/^Trailer: X-Sum\r$/m)
    expect(bodyOf(client)).toBe('4\r\nbody\r\n0\r\nX-Sum: 1\xe9\r\nX-sum: 2\r\n\r\n')
  })

  test('that is compressed is passed on byte by byte', async () => {
    const zipped = gzipSync('a text that is long enough '.repeat(20)).toString('latin1')
    await ask(get('Accept-Encoding: gzip'))
    expect(server.text).toMatch(/^Accept-Encoding: gzip\r$/m)
    server.write(ok('Content-Encoding: gzip', `Content-Length: ${zipped.length}`) + zipped)
    await client.saw(zipped)
    expect(client.text).toMatch(/^Content-Encoding: gzip\r$/m)
  })

  test('may be preceded by hints, which are there before it', async () => {
    await ask(get())
    server.write('HTTP/1.1 102 Processing\r\n\r\n')
    await client.saw('HTTP/1.1 102 Processing\r\n\r\n')
    const links = 'Link: </a.css>; rel=preload\r\nLink: </b.js>; rel=preload\r\n'
    server.write(`HTTP/1.1 103 Early Hints\r\nConnection: X-Hop\r\nX-Hop: 1\r\n${links}\r\n`)
    await client.saw(`HTTP/1.1 103 Early Hints\r\n${links}\r\n`)
    server.write(`${ok('Content-Length: 4')}body`)
    await client.saw('body')
    expect(client.text.match(/^HTTP\/1\.1 \d+/gm)).toEqual(['HTTP/1.1 102', 'HTTP/1.1 103', 'HTTP/1.1 200'])
  })
})

describe('a request', () => {
  test('reaches the backend chunk by chunk, as they are sent', async () => {
    await ask(post('Transfer-Encoding: chunked'))
    for (const part of ['one', 'three', 'four']) {
      client.write(`${part.length};ext="x"\r\n${part}\r\n`)
      await server.saw(part)
    }
    client.write('0\r\n\r\n')
    await server.saw('\r\n0\r\n\r\n')
    expect(bodyOf(server)).toBe('3\r\none\r\n5\r\nthree\r\n4\r\nfour\r\n0\r\n\r\n')
  })

  test('has its trailers at the end, but for those that say how to read it or who asks', async () => {
    await ask(post('Transfer-Encoding: chunked', 'Trailer: X-Sum'))
    const bad = 'Host: b|Cookie: a=b|Authorization: x|X-Forwarded-For: 1.2.3.4|Connection: x|TE: x|Content_Length: 3'
    const own =
      'Via: 1.1 b|X-Request-Id: b|X-Proxy: b|X-Ipfleet-Attempt: 2|Forwarded: for=b|X-Real-IP: 1.2.3.4|X_Forwarded_For: 1.2.3.4'
    client.write(`4\r\nbody\r\n0\r\nX-Sum: 1\xe9\r\n${bad}|${own}`.replaceAll('|', '\r\n'))
    client.write('\r\nX-sum: 2\r\n\r\n')
    await server.saw(/\r\n0\r\n.*\r\n\r\n$/s)
    expect(server.text).toMatch(/^Trailer: X-Sum\r$/m)
    expect(bodyOf(server)).toBe('4\r\nbody\r\n0\r\nX-Sum: 1\xe9\r\nX-sum: 2\r\n\r\n')
  })

  test.each(['Transfer-Encoding: chunked', 'Content-Length: 400'])(
    'may go on while its answer has begun: each hears the other at once (%s)',
    async (framing) => {
      await ask(post('Content-Length: 6'), 'ab')
      await server.saw('ab')
      server.write(ok(framing))
      await client.saw('HTTP/1.1 200 OK')
      const say = (text: string): string => (framing.includes('chunked') ? `${text.length}\r\n${text}\r\n` : text)
      server.write(say('heard ab'))
      await client.saw('heard ab')
      client.write('cd')
      await server.saw('cd')
      server.write(say('heard cd'))
      await client.saw('heard cd')
      client.write('ef')
      await server.saw('ef')
    },
  )
})

describe('an answer in the middle of an upload', () => {
  test.each([413, 401, 200])('reaches the client, which need not send the rest: %i', async (status) => {
    await ask(post('Content-Length: 100000000'), 'the beginning')
    await server.saw('the beginning')
    server.write(`HTTP/1.1 ${status} No\r\nContent-Length: 6\r\n\r\nenough`)
    await client.saw('enough')
    expect(client.text).toMatch(/^Connection: close\r$/m)
    expect([await client.ended, await server.ended]).toEqual(['closed', 'closed'])
  })

  test('reaches a client that goes on sending all the while', async () => {
    await ask(post('Content-Length: 100000000'), 'the beginning')
    const sending = setInterval(() => client.write(Buffer.alloc(65_536)), 1)
    try {
      await server.saw('\0\0\0\0')
      server.write('HTTP/1.1 413 Too large\r\nConnection: close\r\nContent-Length: 6\r\n\r\nenough')
      server.end()
      await client.saw('enough')
    } finally {
      clearInterval(sending)
    }
    expect(client.text).toMatch(/^HTTP\/1\.1 413 Too large\r\n/)
  })
})

describe('a backend that dies in the middle of its answer', () => {
  test.each([
    ['length', 'HTTP/1.1', 'Content-Length: 100', 'fin'],
    ['length', 'HTTP/1.1', 'Content-Length: 100', 'reset'],
    ['chunked', 'HTTP/1.1', 'Transfer-Encoding: chunked', 'fin'],
    ['chunked', 'HTTP/1.1', 'Transfer-Encoding: chunked', 'reset'],
    ['until-close', 'HTTP/1.1', 'X-Nothing: 1', 'reset'],
    ['chunked', 'HTTP/1.0', 'Transfer-Encoding: chunked', 'fin'],
    ['until-close', 'HTTP/1.0', 'X-Nothing: 1', 'reset'],
  ])('leaves the client with an answer that is visibly not whole: %s, to %s', async (_what, version, framing, how) => {
    await ask([`GET / ${version}`, 'Host: a'])
    const part = framing.includes('chunked') ? '4\r\npart\r\n' : 'part'
    server.write(ok(framing) + part)
    await client.saw('part')
    if (how === 'reset') server.reset()
    else server.end()
    const end = await client.ended
    const isWhole =
      bodyOf(client).endsWith('0\r\n\r\n') ||
      (!/^(?:content-length|transfer-encoding)/im.test(client.text) && end === 'closed')
    expect({ isWhole, text: client.text }).toMatchObject({ isWhole: false })
  })
})
