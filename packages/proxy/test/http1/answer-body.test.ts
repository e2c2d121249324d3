import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { until } from '@ipfleet/testing/until.ts'
import { okWith } from './scripted-server.ts'
import { ask, TestUpstream } from './test-upstream.ts'

let upstream: TestUpstream
beforeEach(async () => {
  upstream = await TestUpstream.set()
})
afterEach(() => upstream.clear())

describe('an answer', () => {
  test.each([
    ['with a length', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'],
    ['in chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\nA: b\r\n\r\n'],
  ])('%s arrives byte by byte', async (_how, answer) => {
    const pool = upstream.pool()
    const { heard } = ask(pool, '/')
    const peer = await upstream.server.peer()
    await peer.request()
    peer.socket.setNoDelay(true)
    for (const byte of Buffer.from(answer)) {
      peer.send(Buffer.of(byte))
      // Time for it to arrive alone.
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    await heard.over
    expect([heard.events, heard.body]).toEqual([['answered 200', 'data', 'ended'], 'hello'])
    expect(heard.trailers).toEqual(answer.includes('A: b') ? ['A', 'b'] : [])
    expect(pool.idle).toBe(1)
  })

  test('in one piece is told in one piece', async () => {
    const { heard } = ask(upstream.pool(), '/')
    const peer = await upstream.server.peer()
    await peer.request()
    peer.send(okWith('hello'))
    await heard.over
    expect([heard.events, heard.body]).toEqual([['answered 200'], 'hello'])
    expect(heard.head).toMatchObject({ status: 200, framing: 5, fields: ['Content-Length', '5'] })
  })

  test('without a length ends with the connection', async () => {
    const pool = upstream.pool()
    const { heard } = ask(pool, '/')
    const peer = await upstream.server.peer()
    await peer.request()
    peer.send('HTTP/1.1 200 OK\r\n\r\nhe')
    await until(() => heard.body === 'he')
    peer.send('llo')
    peer.socket.end()
    await heard.over
    expect([heard.events, heard.body]).toEqual([['answered 200', 'data', 'ended'], 'hello'])
    await peer.left
    expect(pool.open).toBe(0)
  })

  test('without a length or a body ends with the connection', async () => {
    const { heard } = ask(upstream.pool(), '/')
    const peer = await upstream.server.peer()
    await peer.request()
    peer.send('HTTP/1.1 200 OK\r\n\r\n')
    peer.socket.end()
    await heard.over
    expect(heard.events).toEqual(['answered 200', 'ended'])
  })

  test('without a length is cut by a reset', async () => {
    const { heard } = ask(upstream.pool(), '/')
    const peer = await upstream.server.peer()
    await peer.request()
    peer.send('HTTP/1.1 200 OK\r\n\r\nhe')
    await until(() => heard.body === 'he')
    peer.socket.resetAndDestroy()
    await heard.over
    expect(heard.events).toEqual(['answered 200', 'data', 'failed cut'])
  })

  test.each([
    ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', ['Content-Length', '0']],
    ['HEAD', 'HTTP/1.1 204 No Content\r\n\r\n', []],
    ['GET', 'HTTP/1.1 204 No Content\r\n\r\n', []],
    ['GET', 'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n', ['ETag', '"a"']],
  ])('without a body leaves the connection usable: %s, %j', async (method, answer, fields) => {
    const pool = upstream.pool()
    const { heard } = ask(pool, '/', { method })
    const peer = await upstream.server.peer()
    await peer.request()
    peer.send(answer)
    await heard.over
    expect([heard.body, heard.head?.framing, heard.head?.fields, pool.idle]).toEqual(['', 'none', fields, 1])
    const next = ask(pool, '/next')
    await peer.request()
    peer.send(okWith('next'))
    expect((await next.heard.over).body).toBe('next')
  })
})

describe('whoever takes an answer slowly', () => {
  const size = 50_000_000

  test.each<[string, string, string]>([
    ['with a length', `HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`, ''],
    ['in one chunk', `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${size.toString(16)}\r\n`, '\r\n0\r\n\r\n'],
  ])('holds up the server, %s', async (_how, head, tail) => {
    const pool = upstream.pool({ idleTimeoutMs: 500 })
    const { exchange, heard } = ask(pool, '/', {}, { answered: () => exchange.pause() })
    const peer = await upstream.server.peer()
    await peer.request()
    peer.send(head)
    peer.send(Buffer.alloc(size, 'x'))
    peer.send(tail)
    await until(() => heard.head)
    // Longer than the time between two parts may be: it is not the server that is slow.
    await new Promise((resolve) => setTimeout(resolve, 1200))
    expect(heard.bodyBytes).toBeLessThan(1_000_000)
    // The rest waits where it came from, or in the system's buffers.
    expect(peer.socket.bytesWritten - peer.socket.writableLength).toBeLessThan(size / 2)
    exchange.resume()
    await heard.over
    expect([heard.fault, heard.bodyBytes, pool.idle]).toEqual([undefined, size, 1])
  })

  test('may stop and go on as often as it likes', async () => {
    const pool = upstream.pool()
    let pauses = 0
    const { exchange, heard } = ask(
      pool,
      '/',
      {},
      {
        data: () => {
          pauses += 1
          exchange.pause()
          setImmediate(() => exchange.resume())
        },
      },
    )
    const peer = await upstream.server.peer()
    await peer.request()
    peer.send('HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n')
    peer.send(Buffer.alloc(3_000_000, 'x'))
    await heard.over
    expect([heard.bodyBytes, pool.idle]).toEqual([3_000_000, 1])
    expect(pauses).toBeGreaterThan(10)
  })

  test('may stop before there is an answer, or a connection', async () => {
    for (const early of [true, false]) {
      const pool = upstream.pool()
      const { exchange, heard } = ask(pool, '/')
      if (early) exchange.pause()
      const peer = await upstream.server.peer()
      await peer.request()
      exchange.pause()
      peer.send('HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n')
      await until(() => heard.head)
      peer.send(Buffer.alloc(3_000_000, 'x'))
      await new Promise((resolve) => setTimeout(resolve, 100))
      expect(heard.bodyBytes).toBe(0)
      exchange.resume()
      await heard.over
      expect(heard.bodyBytes).toBe(3_000_000)
    }
  })

  test('still hears that no answer came in time', async () => {
    const { exchange, heard } = ask(upstream.pool({ answerTimeoutMs: 150 }), '/')
    await (await upstream.server.peer()).request()
    exchange.pause()
    exchange.resume()
    exchange.pause()
    await heard.over
    expect(heard.events).toEqual(['failed silent'])
  })

  test('leaves a connection that flows', async () => {
    const pool = upstream.pool()
    const { exchange, heard } = ask(pool, '/', {}, { data: () => exchange.pause() })
    const peer = await upstream.server.peer()
    await peer.request()
    peer.send('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n')
    await until(() => heard.head)
    peer.send('a')
    await heard.over
    exchange.pause()
    const next = ask(pool, '/next')
    await peer.request()
    exchange.pause()
    exchange.abort()
    peer.send(okWith('next'))
    expect((await next.heard.over).body).toBe('next')
  })
})
