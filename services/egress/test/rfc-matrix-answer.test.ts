import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { bodyOf, okHead, ProxyHarness, requestHead } from './proxy-harness.ts'

/** What the client gets of an answer, byte for byte. */
let harness: ProxyHarness
beforeAll(async () => {
  harness = await ProxyHarness.start()
})
afterEach(() => harness.clear())
afterAll(() => harness[Symbol.asyncDispose]())

const via = 'Via: 1.1 ipfleet-egress\r\n'
const date = 'Date: Thu, 01 Jan 1970 00:00:00 GMT'
const dateLine = `${date}\r\n`
const stays = 'Connection: keep-alive\r\nKeep-Alive: timeout=75\r\n\r\n'
const closes = 'Connection: close\r\n\r\n'

/** What has come to the client of a GET when `last` of it has, the origin having answered with this. */
async function answered(answer: string, last: string | RegExp = '\r\n\r\n'): Promise<string> {
  const { client, server } = await harness.get('/')
  server.write(answer)
  return client.saw(last)
}

describe('the head', () => {
  test('has the origin’s status, reason and fields, in their order and spelling, with all bytes', async () => {
    const fields = ['X-Twice: 1', 'x-twice: \xe9\t2', 'X-Empty: ', 'Set-Cookie: a=1', 'Set-Cookie: b=2', date]
    const lines = [...fields, 'Content-Length: 0'].join('\r\n')
    expect(await answered(`HTTP/1.1 299 Quite \xe9 So\r\n${lines}\r\n\r\n`)).toBe(
      `HTTP/1.1 299 Quite \xe9 So\r\n${lines}\r\n${via}${stays}`,
    )
  })

  test.each([
    ['Connection', 'Connection: close'],
    ['Keep-Alive', 'Connection: keep-alive\r\nKeep-Alive: timeout=5'],
    ['Proxy-Connection', 'Proxy-Connection: close'],
    ['TE', 'TE: trailers'],
    ['Upgrade', 'Upgrade: h2c'],
    ['what Connection names', 'Connection: X-One , close,x-TWO\r\nX-One: 1\r\nX-Two: 2'],
    ['what a second Connection names', 'Connection: close\r\nConnection: x-three\r\nX-Three: 3'],
    ['credentials that only a proxy may ask for (RFC 9110 §11.7.1)', 'Proxy-Authenticate: Basic realm="x"'],
    ['a claim to be this proxy', 'X-Egress-IP: 1.2.3.4'],
    ['Trailer, where no trailers can follow', 'Trailer: X-Sum'],
  ])('leaves out what is for the hop to the origin only: %s', async (_what, field) => {
    expect(await answered(okHead(date, field, 'X-Kept: 1', 'Content-Length: 0'))).toBe(
      okHead(date, 'X-Kept: 1', 'Content-Length: 0').slice(0, -2) + via + stays,
    )
  })

  test.each([
    ['UTF-8', Buffer.from('报告 Ü').toString('latin1')],
    ['Latin-1', '\xdc\xff\x80'],
  ])('has bytes over 0x7f as they are, wherever they stand: %s', async (_what, bytes) => {
    const disposition = `Content-Disposition: attachment; filename="${bytes}"`
    const location = `Location: /${bytes}`
    for (const fields of [
      ['Content-Length: 4', disposition, location],
      [location, disposition, 'Content-Length: 4'],
    ]) {
      // With its body, and before it.
      for (const parts of [[`${okHead(...fields)}body`], [okHead(...fields), 'body']]) {
        const { client, server } = await harness.get('/', 'Connection: close')
        for (const part of parts) {
          server.write(part)
          await client.saw(part.slice(-4))
        }
        await client.ended
        const lines = client.text.split('\r\n')
        expect(lines).toEqual(expect.arrayContaining([...fields, 'body']))
      }
    }
  })

  test.each([600, 999])('has the status %i of an origin that invents one', async (status) => {
    expect(await answered(`HTTP/1.1 ${status} Odd\r\nContent-Length: 0\r\n\r\n`)).toMatch(
      new RegExp(`^HTTP/1\\.1 ${status} Odd\r\n`),
    )
  })

  test.each([
    ['all', okHead('X-A: b', 'Content-Length: 4').replaceAll('\r\n', '\n')],
    ['all but the first', okHead('X-A: b', 'Content-Length: 4').replaceAll('\r\n', '\n').replace('\n', '\r\n')],
    ['only the empty one', okHead('X-A: b', 'Content-Length: 4').replace('\r\n\r\n', '\r\n\n')],
  ])('may have lines that end in LF alone, which end in CRLF then: %s', async (_which, head) => {
    const text = await answered(`${head}body`, 'body')
    expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\nX-A: b\r\nContent-Length: 4\r\n/)
    expect(text.replaceAll('\r\n', '')).not.toContain('\n')
  })

  test('names the proxy in Via behind those before it', async () => {
    const answer = await answered(okHead('Via: 1.0 fred, 1.1 p.example', 'Content-Length: 0'))
    expect(answer.match(/^Via: .*(?=\r$)/gm)).toEqual(['Via: 1.0 fred, 1.1 p.example', 'Via: 1.1 ipfleet-egress'])
    expect(await answered(okHead('Content-Length: 0').replace('1.1', '1.0'))).toContain(
      '\r\nVia: 1.0 ipfleet-egress\r\n',
    )
  })

  test('names the address that the request left from, when it is one of the pool', async () => {
    await using pooled = await ProxyHarness.start({ IP_POOL: '127.0.0.2' })
    const { client, server } = await pooled.get('/')
    expect(server.socket.remoteAddress).toBe('127.0.0.2')
    server.write(okHead('Content-Length: 0'))
    expect(await client.saw('\r\n\r\n')).toContain('\r\nX-Egress-IP: 127.0.0.2\r\n')
  })
})

describe('a body', () => {
  test('with a length keeps it', async () => {
    expect(await answered(okHead(date, 'Content-Length: 4') + 'body', 'body')).toBe(
      okHead(date, 'Content-Length: 4').slice(0, -2) + via + stays + 'body',
    )
  })

  test('in chunks comes in chunks, each when it is sent', async () => {
    const { client, server } = await harness.get('/')
    server.write(okHead(date, 'Transfer-Encoding: chunked'))
    await client.saw('\r\n\r\n')
    for (const part of ['one', 'three']) {
      server.write(`${part.length};ext="x"\r\n${part}\r\n`)
      await client.saw(part)
    }
    server.write('0\r\n\r\n')
    expect(await client.saw('\r\n0\r\n\r\n')).toBe(
      `HTTP/1.1 200 OK\r\n${dateLine}${via}${stays.slice(0, -2)}Transfer-Encoding: chunked\r\n\r\n` +
        '3\r\none\r\n5\r\nthree\r\n0\r\n\r\n',
    )
  })

  test('until the connection ends comes in chunks, so that its end can be told from a break', async () => {
    const { client, server } = await harness.get('/')
    server.write(`${okHead()}all of it`)
    await client.saw('all of it')
    expect(client.text).not.toContain('\r\n0\r\n\r\n')
    server.end()
    await client.saw('\r\n0\r\n\r\n')
    expect(bodyOf(client)).toBe('9\r\nall of it\r\n0\r\n\r\n')
  })

  test('that is none: HEAD keeps the length of what GET would bring, and the connection', async () => {
    const { client, server } = await harness.ask(requestHead(`HEAD ${harness.url()}`))
    server.write(okHead(date, 'Content-Length: 1000'))
    expect(await client.saw('\r\n\r\n')).toBe(okHead(date, 'Content-Length: 1000').slice(0, -2) + via + stays)
  })

  test.each([
    ['HEAD', okHead(date, 'Transfer-Encoding: chunked'), okHead(date)],
    ['GET', `HTTP/1.1 304 Not Modified\r\n${dateLine}ETag: "x"\r\nContent-Length: 1000\r\n\r\n`, undefined],
    ['GET', `HTTP/1.1 204 No Content\r\n${dateLine}X-Kept: 1\r\n\r\n`, undefined],
  ])('that is none: to %s after %j', async (method, answer, expected = answer) => {
    const { client, server } = await harness.ask(requestHead(`${method} ${harness.url()}`))
    server.write(answer)
    expect(await client.saw('\r\n\r\n')).toBe(expected.slice(0, -2) + via + stays)
    // What comes next is the answer to what is asked next.
    client.write(requestHead(`GET ${harness.url('/next')}`))
    const next = await harness.accept()
    await next.saw('\r\n\r\n')
    next.write(`${okHead('Content-Length: 4')}next`)
    expect(await client.saw('next')).toMatch(/\r\n\r\nHTTP\/1\.1 200 OK\r\n/)
  })
})

describe('trailers', () => {
  test('of an answer reach the client, but for those that say how to read it or who asks', async () => {
    const { client, server } = await harness.get('/', 'Connection: TE', 'TE: trailers')
    server.write(okHead('Transfer-Encoding: chunked', 'Trailer: X-Sum'))
    const bad = 'Content-Length: 3|Transfer-Encoding: x|Set-Cookie: a=b|Connection: x|Host: b|X-Egress-IP: 1.2.3.4'
    server.write(`4\r\nbody\r\n0\r\nX-Sum: 1\xe9\r\n${bad.replaceAll('|', '\r\n')}\r\nX-sum: 2\r\n\r\n`)
    await client.saw(/\r\n0\r\n.*\r\n\r\n$/s)
    expect(client.text).toMatch(/^Trailer: X-Sum\r$/m)
    expect(bodyOf(client)).toBe('4\r\nbody\r\n0\r\nX-Sum: 1\xe9\r\nX-sum: 2\r\n\r\n')
  })

  test('of a request reach the origin, but for those that say how to read it or who asks', async () => {
    const { client, server } = await harness.post(['Transfer-Encoding: chunked', 'Trailer: X-Sum'])
    const bad = 'Host: b|Cookie: a=b|Proxy-Authorization: x|X-Forwarded-For: 1.2.3.4|Connection: x|TE: x|Via: 1.1 b'
    client.write(`4\r\nbody\r\n0\r\nX-Sum: 1\xe9\r\n${bad.replaceAll('|', '\r\n')}\r\nX-sum: 2\r\n\r\n`)
    await server.saw(/\r\n0\r\n.*\r\n\r\n$/s)
    expect(server.text).toMatch(/^Trailer: X-Sum\r$/m)
    expect(bodyOf(server)).toBe('4\r\nbody\r\n0\r\nX-Sum: 1\xe9\r\nX-sum: 2\r\n\r\n')
  })
})

describe('interim answers', () => {
  test('reach the client before the answer, without what is for one hop', async () => {
    const { client, server } = await harness.get('/')
    server.write('HTTP/1.1 102 Processing\r\n\r\n')
    await client.saw('HTTP/1.1 102 Processing\r\n\r\n')
    const links = 'Link: </a.css>; rel=preload\r\nLink: </b.js>; rel=preload\r\n'
    server.write(`HTTP/1.1 103 Early Hints\r\nConnection: X-Hop\r\nX-Hop: 1\r\n${links}\r\n`)
    await client.saw(`HTTP/1.1 103 Early Hints\r\n${links}\r\n`)
    server.write(`${okHead('Content-Length: 4')}body`)
    await client.saw('body')
    expect(client.text.match(/^HTTP\/1\.1 \d+/gm)).toEqual(['HTTP/1.1 102', 'HTTP/1.1 103', 'HTTP/1.1 200'])
  })

  test('do not reach a client of HTTP/1.0', async () => {
    const { client, server } = await harness.ask(`GET ${harness.url()} HTTP/1.0\r\n\r\n`)
    server.write(`HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n${okHead('Content-Length: 4')}body`)
    expect((await client.saw('body')).match(/^HTTP\/1\.1 \d+/gm)).toEqual(['HTTP/1.1 200'])
  })
})

describe('a body that breaks off is visibly not whole', () => {
  test.each([
    ['length', 'HTTP/1.1', 'Content-Length: 100', 'fin'],
    ['length', 'HTTP/1.1', 'Content-Length: 100', 'reset'],
    ['chunked', 'HTTP/1.1', 'Transfer-Encoding: chunked', 'fin'],
    ['chunked', 'HTTP/1.1', 'Transfer-Encoding: chunked', 'reset'],
    ['until-close', 'HTTP/1.1', 'X-Nothing: 1', 'reset'],
    ['length', 'HTTP/1.0', 'Content-Length: 100', 'fin'],
    ['chunked', 'HTTP/1.0', 'Transfer-Encoding: chunked', 'fin'],
    ['until-close', 'HTTP/1.0', 'X-Nothing: 1', 'reset'],
  ])('%s, to %s, %s: %s', async (_what, version, framing, how) => {
    const { client, server } = await harness.ask(`GET ${harness.url()} ${version}\r\nHost: a\r\n\r\n`)
    const isChunked = framing.includes('chunked')
    server.write(okHead(framing) + (isChunked ? '4\r\npart\r\n' : 'part'))
    await client.saw('part')
    if (how === 'reset') server.reset()
    else server.end()
    const end = await client.ended
    const hasFraming = /^(?:content-length|transfer-encoding)/im.test(client.text)
    const isWhole = bodyOf(client).endsWith('0\r\n\r\n') || (!hasFraming && end === 'closed')
    expect({ isWhole, text: client.text }).toMatchObject({ isWhole: false })
  })
})

test('a client of HTTP/1.0 gets a body without chunks, and its end is that of the connection', async () => {
  const { client, server } = await harness.ask(`GET ${harness.url()} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n`)
  server.write(`${okHead(date, 'Transfer-Encoding: chunked', 'Trailer: X-Sum')}4\r\nbody\r\n0\r\nX-Sum: 1\r\n\r\n`)
  await client.saw('body')
  expect(await client.ended).toBe('closed')
  expect(client.text).toBe(okHead(date).slice(0, -2) + via + closes + 'body')
})
