import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { until } from '@ipfleet/testing/until.ts'
import type { ConnectionPool } from '../../src/http1/connection-pool.ts'
import { okWith } from './scripted-server.ts'
import { ask, TestUpstream, writeUntilStuck } from './test-upstream.ts'

let upstream: TestUpstream
let pool: ConnectionPool
beforeEach(async () => {
  upstream = await TestUpstream.set()
  pool = upstream.pool({ maxConnections: 1 })
})
afterEach(() => upstream.clear())

/** The next in line gets its answer, and then nobody uses the one connection. */
async function nextIsServed(next: ReturnType<typeof ask>, place: number): Promise<void> {
  const peer = await until(() => upstream.server.peers[place])
  while (!(await peer.request()).includes('GET /next'));
  peer.send(okWith('next'))
  expect((await next.heard.over).body).toBe('next')
  expect([pool.open, pool.idle, pool.waiting]).toEqual([1, 1, 0])
}

describe('an exchange that is aborted says nothing more and makes room', () => {
  test('while it connects', async () => {
    const { exchange, heard } = ask(pool, '/')
    const next = ask(pool, '/next')
    exchange.abort()
    // The connection that it began is good for others.
    await nextIsServed(next, 0)
    expect(heard.events).toEqual([])
  })

  test('while it connects, when the connection does not come about', async () => {
    pool = upstream.pool(
      { maxConnections: 1, connectTimeoutMs: 300 },
      { ...upstream.server.target, tls: { servername: 'a.example' } },
    )
    const { exchange, heard } = ask(pool, '/')
    const peer = await upstream.server.peer()
    const next = ask(pool, '/next')
    exchange.abort()
    peer.socket.destroy()
    // It tries a connection of its own.
    await upstream.server.peer()
    await next.heard.over
    expect([heard.events, next.heard.events]).toEqual([[], ['failed unreachable']])
    expect([pool.open, pool.waiting]).toEqual([0, 0])
  })

  test('while it stands in line', async () => {
    pool = upstream.pool({ maxConnections: 1, maxWaiting: 1 })
    const first = ask(pool, '/1')
    const second = ask(pool, '/2', { method: 'POST', body: 'chunked' })
    second.exchange.write(Buffer.from('a'))
    expect(pool.waiting).toBe(1)
    second.exchange.abort()
    second.exchange.abort()
    expect(pool.waiting).toBe(0)
    const next = ask(pool, '/next')
    expect(pool.waiting).toBe(1)
    const peer = await upstream.server.peer()
    await peer.request()
    peer.send(okWith('1'))
    await first.heard.over
    await nextIsServed(next, 0)
    expect(second.heard.events).toEqual([])
  })

  test('while the body is on its way', async () => {
    const { exchange, heard } = ask(pool, '/', { method: 'POST', body: 'chunked' })
    const next = ask(pool, '/next')
    const peer = await upstream.server.peer()
    await peer.request()
    peer.socket.pause()
    await writeUntilStuck(exchange, heard)
    const { length } = heard.events
    exchange.abort()
    expect(exchange.write(Buffer.from('a'))).toBe(true)
    exchange.finish()
    await nextIsServed(next, 1)
    expect(heard.events).toHaveLength(length)
  })

  test.each([
    ['while it waits for an answer', '', []],
    ['in the middle of the head', 'HTTP/1.1 200 OK\r\nContent-', []],
    ['after an interim answer', 'HTTP/1.1 102 x\r\n\r\n', ['interim 102']],
    ['in the middle of the body', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe', ['answered 200', 'data']],
    [
      'in the middle of a chunk',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe',
      ['answered 200', 'data'],
    ],
  ])('%s', async (_when, sent, events) => {
    const { exchange, heard } = ask(pool, '/')
    const next = ask(pool, '/next')
    const peer = await upstream.server.peer()
    await peer.request()
    peer.send(sent)
    await until(() => heard.events.length === events.length)
    exchange.abort()
    await peer.left
    await nextIsServed(next, 1)
    expect(heard.events).toEqual(events)
  })

  test('while its answer is held up', async () => {
    const { exchange, heard } = ask(pool, '/', {}, { answered: () => exchange.pause() })
    const next = ask(pool, '/next')
    const peer = await upstream.server.peer()
    await peer.request()
    peer.send('HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n')
    peer.send(Buffer.alloc(1_000_000))
    await until(() => heard.head)
    exchange.abort()
    exchange.resume()
    await nextIsServed(next, 1)
  })

  test('after its end, when it changes nothing', async () => {
    const { exchange, heard } = ask(pool, '/')
    const peer = await upstream.server.peer()
    await peer.request()
    peer.send(okWith('a'))
    await heard.over
    const next = ask(pool, '/next')
    exchange.abort()
    await nextIsServed(next, 0)
    expect(heard.events).toEqual(['answered 200'])
  })
})

describe('an exchange may be aborted from within what it is told', () => {
  const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n'
  const long = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n'

  test.each([
    ['interim', `HTTP/1.1 102 x\r\n\r\nHTTP/1.1 103 x\r\n\r\n${okWith('a')}`, ['interim 102']],
    ['answered', chunked, ['answered 200']],
    ['data', chunked, ['answered 200', 'data']],
    ['data', `HTTP/1.1 102 x\r\n\r\n${long}hello`.slice(0, -1), ['interim 102', 'answered 200', 'data']],
  ] as const)('in %s: %j', async (callback, sent, events) => {
    const { exchange, heard } = ask(pool, '/', {}, { [callback]: () => exchange.abort() })
    const next = ask(pool, '/next')
    const peer = await upstream.server.peer()
    await peer.request()
    peer.send(sent)
    await peer.left
    await nextIsServed(next, 1)
    expect(heard.events).toEqual(events)
  })

  test('with the last of the body', async () => {
    const { exchange, heard } = ask(pool, '/', {}, { data: () => exchange.abort() })
    const peer = await upstream.server.peer()
    await peer.request()
    peer.send(long)
    await until(() => heard.head)
    peer.send('hello')
    await peer.left
    expect([heard.events, pool.open]).toEqual([['answered 200', 'data'], 0])
  })

  test('in drained, after it has stood in line', async () => {
    const first = ask(pool, '/1')
    const { exchange, heard } = ask(
      pool,
      '/2',
      { method: 'POST', body: 'chunked' },
      { drained: () => exchange.abort() },
    )
    exchange.write(Buffer.from('a'))
    const next = ask(pool, '/next')
    const peer = await upstream.server.peer()
    await peer.request()
    peer.send(okWith('1'))
    expect((await first.heard.over).body).toBe('1')
    await nextIsServed(next, 1)
    expect(heard.events).toEqual(['drained'])
  })

  test('in failed, where another may begin at once', async () => {
    const again = Promise.withResolvers<ReturnType<typeof ask>>()
    const { exchange, heard } = ask(
      pool,
      '/',
      {},
      {
        failed: () => {
          exchange.abort()
          again.resolve(ask(pool, '/next'))
        },
      },
    )
    const peer = await upstream.server.peer()
    await peer.request()
    peer.socket.end()
    await nextIsServed(await again.promise, 1)
    expect(heard.events).toEqual(['failed lost'])
  })
})
