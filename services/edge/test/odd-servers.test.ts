import { once } from 'node:events'
import type { ClientHttp2Session } from 'node:http2'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { ScriptedBackend } from '@ipfleet/testing/scripted-backend.ts'
import { Wire } from '@ipfleet/testing/wire.ts'
import { h2Ask, h2Session, type H2Reply } from './h2-ask.ts'
import { type RunningEdge, startEdge } from './start-edge.ts'
import { testCertificate, type TestCertificate } from './test-certificate.ts'

/** What real servers send and can be read in one way only, driven by hand: to clients of HTTP/1.1 in the lane, and of HTTP/2. */
let certificate: TestCertificate
let backend: ScriptedBackend
let edge: RunningEdge
let plainEdge: RunningEdge
let session: ClientHttp2Session
let client: Wire
beforeAll(async () => {
  certificate = await testCertificate()
  backend = await ScriptedBackend.start()
  // Ejection by failures is on: nothing here may count as one.
  const tables = '[retry]\nattempts = 0\n[ejection]\nfailures = 2'
  const backends = [backend.port]
  const starts = [`${certificate.toml}\n${tables}`, tables].map((all) => startEdge({ backends, tables: all }))
  ;[edge, plainEdge] = (await Promise.all(starts)) as [RunningEdge, RunningEdge]
})
beforeEach(async () => {
  session = await h2Session(edge.port, certificate.cert)
  client = await Wire.to(plainEdge.port)
})
afterEach(() => {
  session.destroy()
  client.destroy()
})
afterAll(async () => {
  await Promise.all([edge.stop(), plainEdge.stop()])
  await backend[Symbol.asyncDispose]()
  await certificate[Symbol.asyncDispose]()
})

const utf8 = (text: string): string => Buffer.from(text).toString('latin1')
const everyHighByte = Buffer.from(Array.from({ length: 128 }, (_, index) => 128 + index)).toString('latin1')
const closes = 'Connection: close'

/** The backend's end of the next request, whose head has come. */
async function asked(): Promise<Wire> {
  const server = await backend.accept()
  await server.saw('\r\n\r\n')
  return server
}

/** What a client of HTTP/1.1 sees of an answer up to `last`; the body comes after the head has gone out, or with it. */
async function overH1(head: string, body: string, isLate: boolean): Promise<string> {
  client.write('GET /asked HTTP/1.1\r\nHost: a\r\n\r\n')
  const server = await asked()
  server.write(isLate ? head : head + body)
  await client.saw('\r\n\r\n')
  if (isLate) server.write(body)
  await client.saw(body)
  server.end()
  return client.text
}

async function overH2(bytes: string): Promise<H2Reply> {
  const reply = h2Ask(session, { ':path': '/asked' })
  const server = await asked()
  server.write(bytes)
  server.end()
  return reply
}

const attachment = (name: string): string => `Content-Disposition: attachment; filename="${name}"`
const highFields: readonly string[] = [
  attachment(utf8('报告.txt')),
  attachment('\xdc.txt'),
  attachment(utf8('Ü.txt')),
  attachment(everyHighByte),
  `Location: ${utf8('/é')}`,
  `Content-Type: text/plain; x=${everyHighByte}`,
  `x-name: ${utf8('Ünïcödé')}`,
]

describe('bytes over 0x7f in a field value reach the client as they are', () => {
  const placings = [
    ['before the length', (field: string) => [field, 'Content-Length: 4']],
    ['behind the length', (field: string) => ['Content-Length: 4', field]],
  ] as const

  for (const [place, placed] of placings) {
    test.each(highFields)(`${place}: %j`, async (field) => {
      const head = ['HTTP/1.1 200 OK', closes, ...placed(field), '', ''].join('\r\n')
      for (const isLate of [false, true]) {
        client.text = ''
        const text = await overH1(head, 'body', isLate)
        expect([isLate, text]).toEqual([isLate, expect.stringContaining(`\r\n${field}\r\n`)])
        expect(text).toMatch(/\r\nContent-Length: 4\r\n/)
      }
      const { status, fields, body } = await overH2(`${head}body`)
      const [name = '', value = ''] = field.split(': ')
      expect([status, body]).toEqual([200, 'body'])
      expect(fields).toContainEqual([name.toLowerCase(), value])
    })
  }

  test('in chunks, in a reason, in an interim answer and in trailers', async () => {
    const name = `X-Name: ${everyHighByte}`
    client.write('GET /asked HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n')
    const server = await asked()
    server.write(`HTTP/1.1 103 Early Hints\r\n${name}\r\n\r\n`)
    await client.saw(`${name}\r\n\r\n`)
    const more = 'Transfer-Encoding: chunked\r\nTrailer: X-Name\r\n'
    server.write(`HTTP/1.1 200 ${utf8('Größe')}\r\n${closes}\r\n${more}${name}\r\n\r\n`)
    await client.saw(`HTTP/1.1 200 ${utf8('Größe')}\r\n`)
    server.write(`4\r\nbody\r\n0\r\n${name}\r\n\r\n`)
    await client.saw(`4\r\nbody\r\n0\r\n${name}\r\n\r\n`)
    expect(client.text.split(name).length).toBe(4)
  })
})

test('bytes over 0x7f in a field of a request reach the backend as they are', async () => {
  const values = [utf8('报告'), everyHighByte, '\xdc']
  const cookie = `a=${everyHighByte}`
  client.write(
    `GET / HTTP/1.1\r\nHost: a\r\n${values.map((value) => `X-Name: ${value}\r\n`).join('')}Cookie: ${cookie}\r\n\r\n`,
  )
  // Which of the two comes first is not certain.
  const answered = once(session.request({ ':path': '/', 'x-name': values, cookie }), 'response')
  for (let count = 0; count < 2; count += 1) {
    const server = await asked()
    expect(server.text.match(/(?<=^x-name: )[^\r]*/gim)).toEqual(values)
    expect(server.text).toContain(`\r\nCookie: ${cookie}\r\n`)
    server.write('HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n')
  }
  await answered
})

test.each([200, 299, 451, 599, 600, 666, 799, 999])('status %i is passed on', async (status) => {
  const bytes = `HTTP/1.1 ${status} Odd\r\n${closes}\r\nContent-Length: 4\r\n\r\nbody`
  for (const isLate of [false, true]) {
    client.text = ''
    const [head = '', body = ''] = bytes.split(/(?<=\r\n\r\n)/)
    expect(await overH1(head, body, isLate)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} Odd\r\n`))
  }
  expect(await overH2(bytes)).toMatchObject({ status, body: 'body' })
})

describe('an answer whose lines end in LF alone', () => {
  const crlf = 'HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 4\r\n\r\n'
  test.each([
    ['all of them', crlf.replaceAll('\r\n', '\n')],
    ['all but the first', crlf.replaceAll('\r\n', '\n').replace('\n', '\r\n')],
    ['one', crlf.replace('b\r\n', 'b\n')],
    ['the last field', crlf.replace('4\r\n', '4\n')],
    ['the empty one', crlf.replace('\r\n\r\n', '\r\n\n')],
    ['those of an interim answer', `HTTP/1.1 102 Processing\n\n${crlf}`],
  ])('is passed on with CRLF, and its connection is not used again: %s', async (_which, bytes) => {
    client.write('GET /first HTTP/1.1\r\nHost: a\r\n\r\n')
    const server = await asked()
    server.write(`${bytes}body`)
    await client.saw('body')
    expect(client.text).toContain('HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 4\r\n')
    expect(client.text.replaceAll('\r\n', '')).not.toContain('\n')
    expect(await server.ended).toBe('closed')
    expect((await overH2(`${bytes}body`)).fields).toContainEqual(['x-a', 'b'])
  })
})

test('chunks in an answer of HTTP/1.0 are taken off, and its connection is not used again', async () => {
  const bytes = 'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n'
  client.write('GET /first HTTP/1.1\r\nHost: a\r\n\r\n')
  const server = await asked()
  server.write(bytes)
  expect(await client.saw('0\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*\r\n4\r\nbody\r\n0\r\n\r\n$/)
  expect(await server.ended).toBe('closed')
  expect(await overH2(bytes)).toMatchObject({ status: 200, body: 'body' })
})

test('control characters in a field reach a client of HTTP/1 as they are; in a reason, and over HTTP/2, they become blanks', async () => {
  const value = 'a\x01\x08\x0b\x1b$B\x1f\x7fb'
  const fields = [`X-Name: ${value}`, attachment(value), 'Content-Length: 4', closes]
  const head = `HTTP/1.1 200 O\x1bK\r\n${fields.join('\r\n')}\r\n\r\n`
  for (const isLate of [false, true]) {
    client.text = ''
    const lines = (await overH1(head, 'body', isLate)).split('\r\n')
    expect(lines).toEqual(expect.arrayContaining(['HTTP/1.1 200 O K', ...fields.slice(0, 3), 'body']))
  }
  for (const status of [200, 205, 600]) {
    const { fields: seen } = await overH2(`${head.replace('200', String(status))}body`)
    expect(seen).toContainEqual(['x-name', 'a    $B  b'])
  }
})

test.each(['constructor', '__proto__', 'toString'])('a field named %s is passed on', async (name) => {
  const bytes = `HTTP/1.1 200 OK\r\n${name}: a\r\n${name}: b\r\n${closes}\r\nTransfer-Encoding: chunked\r\n\r\n`
  const { status, fields, trailers } = await overH2(`${bytes}0\r\n${name}: c\r\n\r\n`)
  expect([status, fields.filter(([given]) => given === name.toLowerCase()).map(([, value]) => value)]).toEqual([
    200,
    ['a', 'b'],
  ])
  expect(trailers).toEqual([[name.toLowerCase(), 'c']])
  expect(await overH1(bytes, '0\r\n\r\n', true)).toContain(`\r\n${name}: a\r\n${name}: b\r\n`)
})

test.each([
  ['of a known length', 'Content-Length: 4\r\n\r\nbody', 'body'],
  ['in chunks', 'Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n', 'body'],
  ['of no byte in chunks', 'Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n', ''],
])('a body with 205 is passed on over HTTP/2: %s', async (_what, rest, body) => {
  expect(await overH2(`HTTP/1.1 205 Reset Content\r\n${closes}\r\n${rest}`)).toMatchObject({ status: 205, body })
})

describe('a body where there can be none', () => {
  const ok = 'HTTP/1.1 200 OK\r\n'
  const chunked = 'Transfer-Encoding: chunked\r\n\r\n'
  test.each([
    ['to HEAD with a length', 'HEAD', `${ok}Content-Length: 6\r\n\r\n`, 'poison'],
    ['to HEAD in chunks', 'HEAD', `${ok}${chunked}`, '6\r\npoison\r\n0\r\n\r\n'],
    ['to HEAD of no known length', 'HEAD', `${ok}X-A: b\r\n\r\n`, 'poison'],
    [
      'to HEAD that looks like an answer',
      'HEAD',
      `${ok}Content-Length: 38\r\n\r\n`,
      `${ok}Content-Length: 6\r\n\r\npoison`,
    ],
    ['with 204', 'GET', 'HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\n', 'poison'],
    ['with 204 in chunks', 'GET', `HTTP/1.1 204 No Content\r\n${chunked}`, '0\r\n\r\n'],
    ['with 304', 'GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\n', 'poison'],
    ['with 304 in chunks', 'GET', `HTTP/1.1 304 Not Modified\r\n${chunked}`, '6\r\npoison\r\n0\r\n\r\n'],
  ])('does not get in the way of the next answer, however late it comes: %s', async (_what, method, head, body) => {
    client.write(`${method} /first HTTP/1.1\r\nHost: a\r\n\r\n`)
    const first = await asked()
    first.write(head)
    await client.saw('\r\n\r\n')
    client.text = ''
    client.write('GET /second HTTP/1.1\r\nHost: a\r\n\r\n')
    const second = await asked()
    if (first.socket.writable) first.write(body)
    second.write(`${ok}Connection: close\r\nContent-Length: 4\r\n\r\nmine`)
    expect(await client.saw('mine')).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    expect(client.text).not.toContain('poison')
  })
})

describe('what stands before an answer', () => {
  const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n'
  test.each(['\r\n', '\n', '\r\n\r\n'])('does not count if it is empty lines: %j', async (blank) => {
    client.write('GET /first HTTP/1.1\r\nHost: a\r\n\r\n')
    const server = await asked()
    server.write(`${ok}body`)
    await client.saw('body')
    client.text = ''
    // It is on its way when the server sends what belongs to the answer before.
    client.write('GET /second HTTP/1.1\r\nHost: a\r\n\r\n')
    await server.saw('GET /second')
    server.write(blank)
    server.write(`${ok}next`)
    expect(await client.saw('next')).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    expect(await server.ended).toBe('closed')
  })

  test.each(['HTTP/1.1  200 OK', 'HTTP/1.2 200 OK', 'HTTP/2.0 200 OK'])('a status line of %j', async (line) => {
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    const server = await asked()
    server.write(`${line}\r\nContent-Length: 4\r\n\r\nbody`)
    expect(await client.saw('body')).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    expect(await server.ended).toBe('closed')
  })
})

describe('bytes over 0x7f in a target of HTTP/1 reach the backend as they are', () => {
  const target = `/${utf8('café')}/%c3%a9?q=\xfc`

  test.each([
    ['a GET', 'GET', 'Host: a'],
    ['a HEAD', 'HEAD', 'Host: a'],
    ['a GET that ends the connection', 'GET', 'Host: a\r\nConnection: close'],
    ['a POST', 'POST', 'Host: a\r\nContent-Length: 0'],
    ['a request with a field of such bytes', 'GET', 'Host: a\r\nX-Name: \xfc'],
  ])('of %s', async (_what, method, lines) => {
    client.write(`${method} ${target} HTTP/1.1\r\n${lines}\r\n\r\n`)
    const server = await asked()
    expect(server.text.split('\r\n')[0]).toBe(`${method} ${target} HTTP/1.1`)
    server.write('HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n')
    await client.saw('HTTP/1.1 204')
  })

  test('of one request after the other, whose bodies look like such requests', async () => {
    const line = `GET ${target} HTTP/1.1\r\n`
    const chunks = `${line.length.toString(16)}\r\n${line}\r\n0\r\n\r\n`
    for (const path of ['a', 'b', 'c'].map((name) => `${target}&${name}`)) {
      client.write(`POST ${path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`)
      const server = await asked()
      await server.saw(chunks)
      expect(server.text.split('\r\n')[0]).toBe(`POST ${path} HTTP/1.1`)
      client.text = ''
      server.write('HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n')
      await client.saw('HTTP/1.1 204')
    }
  })

  test('of the first request of many in one write; the second is refused', async () => {
    const post = `POST ${target} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n`
    client.write(post.repeat(500))
    const server = await asked()
    server.write('HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n')
    expect(await client.ended).toBe('closed')
    expect(client.text.match(/^HTTP\/1\.1 \d+/gm)).toEqual(['HTTP/1.1 204', 'HTTP/1.1 400'])
  })

  test('of a request over TLS', async () => {
    const secure = await Wire.to(edge.port, { ca: certificate.cert })
    try {
      secure.write(`GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`)
      const server = await asked()
      expect(server.text.split('\r\n')[0]).toBe(`GET ${target} HTTP/1.1`)
      server.write('HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n')
      await secure.saw('HTTP/1.1 204')
    } finally {
      secure.destroy()
    }
  })
})

describe('a method that no list has reaches the backend', () => {
  test.each(['BREW', 'VERSION-CONTROL', 'RPC_IN_DATA', 'LABEL', 'GETX', 'M-SEARCHES'])('%s', async (method) => {
    client.write(`${method} /caf\xe9 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi`)
    const server = await asked()
    await server.saw('hi')
    expect(server.text.split('\r\n')[0]).toBe(`${method} /caf\xe9 HTTP/1.1`)
    server.write(`HTTP/1.1 200 OK\r\n${closes}\r\nContent-Length: 4\r\n\r\nbrew`)
    await client.saw('brew')
  })

  test('between two that are known', async () => {
    for (const method of ['POST', 'BREW', 'POST']) {
      client.text = ''
      client.write(`${method} /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi`)
      const server = await asked()
      await server.saw('hi')
      expect(server.text.split('\r\n')[0]).toBe(`${method} /x HTTP/1.1`)
      server.write(`HTTP/1.1 204 No Content\r\n${closes}\r\n\r\n`)
      await client.saw('HTTP/1.1 204')
    }
  })
})

test('bytes over 0x7f in the target of a request of HTTP/2 reach the backend as they are', async () => {
  const path = `/${utf8('café')}?q=\xfc`
  const stream = session.request({ ':path': path })
  const server = await asked()
  expect(server.text.split('\r\n')[0]).toBe(`GET ${path} HTTP/1.1`)
  server.write('HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n')
  await once(stream, 'response')
})
