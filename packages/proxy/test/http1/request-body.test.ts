import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { until } from '@ipfleet/testing/until.ts'
import { okWith } from './scripted-server.ts'
import { ask, TestUpstream, writeUntilStuck } from './test-upstream.ts'

let upstream: TestUpstream
beforeEach(async () => {
  upstream = await TestUpstream.set()
})
afterEach(() => upstream.clear())

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')
const post = { method: 'POST', body: 'chunked' } as const

describe('a request’s body', () => {
  test('of known length is sent as it is', async () => {
    const pool = upstream.pool()
    const { exchange, heard } = ask(pool, '/', { method: 'POST', body: 10 })
    exchange.write(bytes('hello'))
    const peer = await upstream.server.peer()
    expect(await peer.request()).toBe('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n')
    await peer.takeThrough('hello')
    exchange.write(bytes(''))
    exchange.write(bytes('world'))
    exchange.finish(['X-Not', 'sent'])
    await peer.takeThrough('world')
    peer.send(okWith('ok'))
    expect((await heard.over).body).toBe('ok')
    expect([peer.received, pool.idle]).toEqual(['', 1])
  })

  test('of length zero needs no end', async () => {
    const pool = upstream.pool()
    const { heard } = ask(pool, '/', { method: 'POST', body: 0 })
    const peer = await upstream.server.peer()
    expect(await peer.request()).toContain('Content-Length: 0\r\n')
    peer.send(okWith('ok'))
    await heard.over
    expect(pool.idle).toBe(1)
  })

  test('of unknown length is sent in chunks, with its trailers', async () => {
    const pool = upstream.pool()
    const { exchange, heard } = ask(pool, '/', post)
    const peer = await upstream.server.peer()
    expect(await peer.request()).toContain('\r\nTransfer-Encoding: chunked\r\n\r\n')
    exchange.write(bytes('hello'))
    exchange.write(bytes(''))
    exchange.write(Buffer.alloc(26, 'x'))
    exchange.finish(['X-Sum', '1', 'Content-Length', '5'])
    expect(await peer.takeThrough('\r\n\r\n')).toBe(`5\r\nhello\r\n1a\r\n${'x'.repeat(26)}\r\n0\r\nX-Sum: 1\r\n\r\n`)
    peer.send(okWith('ok'))
    await heard.over
    expect(pool.idle).toBe(1)
  })

  test.each([
    ['nothing', [], '0\r\nA: b\r\n\r\n'],
    ['something', ['he', 'llo'], '2\r\nhe\r\n3\r\nllo\r\n0\r\nA: b\r\n\r\n'],
  ])('that was complete before there was a connection is sent whole: %s', async (_what, parts, sent) => {
    const pool = upstream.pool()
    const { exchange, heard } = ask(pool, '/', post)
    for (const part of parts) expect(exchange.write(bytes(part))).toBe(false)
    exchange.finish(['A', 'b'])
    const peer = await upstream.server.peer()
    await peer.request()
    expect(await peer.takeThrough('0\r\nA: b\r\n\r\n')).toBe(sent)
    peer.send(okWith('ok'))
    await heard.over
    expect([heard.events, pool.idle]).toEqual([['answered 200'], 1])
  })

  test('is asked for when there is a connection', async () => {
    const { exchange, heard } = ask(upstream.pool(), '/', post)
    expect(exchange.write(bytes('a'))).toBe(false)
    expect(heard.events).toEqual([])
    await until(() => heard.events.length > 0)
    expect(heard.events).toEqual(['drained'])
    expect(exchange.write(bytes('b'))).toBe(true)
  })

  test('is asked for also when it has stood in line', async () => {
    const pool = upstream.pool({ maxConnections: 1 })
    const first = ask(pool, '/1')
    const drained = Promise.withResolvers<void>()
    const second = ask(pool, '/2', post, { drained: () => drained.resolve() })
    expect(second.exchange.write(bytes('a'))).toBe(false)
    const peer = await upstream.server.peer()
    await peer.request()
    expect(second.heard.events).toEqual([])
    peer.send(okWith('1'))
    await first.heard.over
    await drained.promise
    second.exchange.write(bytes('b'))
    second.exchange.finish()
    expect(await peer.takeThrough('0\r\n\r\n')).toContain('1\r\na\r\n1\r\nb\r\n')
    peer.send(okWith('2'))
    expect((await second.heard.over).body).toBe('2')
    expect(second.heard.events).toEqual(['drained', 'answered 200'])
  })

  test('waits for a server that does not read it', async () => {
    const { exchange, heard } = ask(upstream.pool(), '/', post)
    const peer = await upstream.server.peer()
    await peer.request()
    peer.socket.pause()
    // What the system's buffers hold, and one part.
    expect(await writeUntilStuck(exchange, heard)).toBeLessThan(64_000_000)
    const before = heard.events.filter((event) => event === 'drained').length
    peer.socket.resume()
    await until(() => heard.events.filter((event) => event === 'drained').length > before)
    exchange.finish()
    peer.send(okWith('ok'))
    expect((await heard.over).body).toBe('ok')
  })
})

describe('an answer that comes before the body is complete', () => {
  test.each([
    ['whole', 'HTTP/1.1 413 x\r\nContent-Length: 3\r\n\r\nbig', ['answered 413']],
    [
      'in parts',
      'HTTP/1.1 413 x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nbig\r\n0\r\n\r\n',
      ['answered 413', 'data', 'ended'],
    ],
    ['to its end', 'HTTP/1.1 413 x\r\n\r\nbig', ['answered 413', 'data', 'ended']],
  ])('is passed on %s, and the connection closed', async (_how, answer, events) => {
    const pool = upstream.pool()
    const { exchange, heard } = ask(pool, '/', { method: 'POST', body: 1000 })
    const peer = await upstream.server.peer()
    await peer.request()
    exchange.write(bytes('a'))
    await peer.takeThrough('a')
    peer.send(answer)
    if (!answer.includes('Length') && !answer.includes('chunked')) peer.socket.end()
    await heard.over
    expect([heard.events, heard.body]).toEqual([events, 'big'])
    await peer.left
    expect([pool.open, exchange.write(bytes('b'))]).toEqual([0, true])
    exchange.finish()
  })

  test('leaves the connection usable if the body is completed in the meantime', async () => {
    const pool = upstream.pool()
    const { exchange, heard } = ask(pool, '/', post)
    const peer = await upstream.server.peer()
    await peer.request()
    peer.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n')
    await until(() => heard.body === 'a')
    exchange.write(bytes('b'))
    await peer.takeThrough('b\r\n')
    exchange.finish()
    await peer.takeThrough('0\r\n\r\n')
    peer.send('0\r\n\r\n')
    await heard.over
    expect([heard.events, pool.idle]).toEqual([['answered 200', 'data', 'ended'], 1])
  })

  test('leaves no connection to others on which the body is still on its way', async () => {
    const pool = upstream.pool()
    const { exchange, heard } = ask(pool, '/', post)
    const peer = await upstream.server.peer()
    await peer.request()
    peer.socket.pause()
    await writeUntilStuck(exchange, heard)
    exchange.finish()
    peer.send(okWith('ok'))
    await heard.over
    expect([heard.body, pool.open]).toEqual(['ok', 0])
  })
})

describe('a body that is not what was said never reaches another request', () => {
  test.each<[string, 'none' | 'chunked' | number, readonly string[], boolean]>([
    ['longer', 3, ['hell'], false],
    ['longer bit by bit', 3, ['he', 'l', 'l'], false],
    ['there though there was to be none', 'none', ['a'], false],
    ['there though it was to be empty', 0, ['a'], false],
    ['shorter', 3, ['he'], true],
    ['missing', 3, [], true],
  ])('%s', async (_what, body, parts, finishes) => {
    for (const connected of [false, true]) {
      const pool = upstream.pool()
      const { exchange, heard } = ask(pool, '/', { method: 'POST', body })
      const peer = connected ? await upstream.server.peer() : undefined
      await peer?.request()
      for (const part of parts) exchange.write(bytes(part))
      if (finishes) exchange.finish()
      expect(heard.events).toEqual([])
      await heard.over
      expect(heard.events).toEqual(['failed garbled'])
      expect(heard.fault?.message).toBe('the body of the request is not as long as was said')
      await peer?.left
      await (connected ? undefined : upstream.server.peer())
      await until(() => pool.open === pool.idle)
      expect(pool.idle).toBe(connected ? 0 : 1)
    }
  })

  test('written after its end', async () => {
    const { exchange, heard } = ask(upstream.pool(), '/', post)
    const peer = await upstream.server.peer()
    await peer.request()
    exchange.finish()
    exchange.finish()
    exchange.write(bytes('GET /evil HTTP/1.1\r\n\r\n'))
    await heard.over
    expect(heard.events).toEqual(['failed garbled'])
    await peer.left
    expect(peer.received).not.toContain('evil')
  })
})

describe('a server that answers in the middle of a body and closes, so that the connection is reset', () => {
  test.each([
    ['413, as gunicorn', 'HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 8\r\n\r\ntoo long'],
    ['501 until the end, as busybox', 'HTTP/1.0 501 Not Implemented\r\n\r\ntoo long'],
    ['400 in chunks', 'HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n8\r\ntoo long\r\n0\r\n\r\n'],
    ['200', 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 8\r\n\r\ntoo long'],
  ])('is heard, each time: %s', async (_what, answer) => {
    const part = Buffer.alloc(65_536, 'x')
    for (let round = 0; round < 10; round += 1) {
      const { exchange, heard } = ask(upstream.pool(), '/', { method: 'POST', body: 10_000_000 })
      const write = (): void => {
        for (let sent = 0; sent < 50; sent += 1) exchange.write(part)
      }
      write()
      const peer = await upstream.server.peer()
      await peer.request()
      const { socket } = peer
      socket.pause()
      // What it has not read makes the kernel reset the connection.
      socket.write(answer, 'latin1', () => {
        socket.destroy()
        write()
      })
      await heard.over
      expect([heard.fault, heard.head?.status, heard.body]).toEqual([
        undefined,
        Number(answer.slice(9, 12)),
        'too long',
      ])
    }
  })

  test('but one that closes without an answer has lost the request', async () => {
    const { exchange, heard } = ask(upstream.pool(), '/', { method: 'POST', body: 10_000_000 })
    exchange.write(Buffer.alloc(1_000_000, 'x'))
    const peer = await upstream.server.peer()
    await peer.request()
    peer.socket.pause()
    peer.socket.destroy()
    exchange.write(Buffer.alloc(1_000_000, 'x'))
    await heard.over
    expect(heard.events.at(-1)).toBe('failed lost')
  })
})
