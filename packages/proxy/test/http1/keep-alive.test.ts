import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { standStill } from '@ipfleet/testing/stand-still.ts'
import { until } from '@ipfleet/testing/until.ts'
import { okWith } from './scripted-server.ts'
import { ask, TestUpstream } from './test-upstream.ts'

let upstream: TestUpstream
beforeEach(async () => {
  upstream = await TestUpstream.set()
})
afterEach(() => upstream.clear())

describe('a connection', () => {
  test('is used again and again', async () => {
    const pool = upstream.pool()
    upstream.server.answerAll((head) => okWith(head.split(' ')[1] ?? ''))
    for (const path of ['/a', '/b', '/c']) {
      const { heard } = ask(pool, path)
      await heard.over
      expect([heard.events, heard.body]).toEqual([['answered 200'], path])
      expect([pool.open, pool.idle]).toEqual([1, 1])
    }
    expect(upstream.server.peers).toHaveLength(1)
  })

  test('can be used from within the last word of the answer before', async () => {
    const pool = upstream.pool()
    upstream.server.answerAll((head) => okWith(head.split(' ')[1] ?? ''))
    const inner = Promise.withResolvers<string>()
    ask(pool, '/a', {}, { answered: () => inner.resolve(ask(pool, '/b').heard.over.then(({ body }) => body)) })
    expect(await inner.promise).toBe('/b')
    expect(upstream.server.peers).toHaveLength(1)
  })

  test('sends what was asked, byte for byte', async () => {
    const { heard } = ask(upstream.pool(), '/\xe9', { takesTrailers: true })
    const peer = await upstream.server.peer()
    expect(await peer.request()).toBe('GET /\xe9 HTTP/1.1\r\nHost: a\r\nConnection: TE\r\nTE: trailers\r\n\r\n')
    peer.answer(['HTTP/1.1 204 No Content'])
    await heard.over
  })

  test.each([
    ['HTTP/1.1 says close', 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na'],
    ['HTTP/1.0 says nothing', 'HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na'],
    [
      'chunks come before close',
      'HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n',
    ],
    ['bytes follow the answer', `${okWith('a')}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`],
    [
      'bytes follow the last chunk',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n',
    ],
  ])('is closed when %s', async (_when, answer) => {
    const pool = upstream.pool()
    const { heard } = ask(pool, '/')
    const peer = await upstream.server.peer()
    await peer.request()
    peer.send(answer)
    await heard.over
    await peer.left
    expect([heard.body, pool.open, pool.idle]).toEqual(['a', 0, 0])
  })

  test('is kept when HTTP/1.0 says keep-alive', async () => {
    const pool = upstream.pool()
    upstream.server.answerAll(() => 'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na')
    for (let time = 0; time < 2; time += 1) expect((await ask(pool, '/').heard.over).body).toBe('a')
    expect(upstream.server.peers).toHaveLength(1)
  })

  test('that was used last is used first', async () => {
    const pool = upstream.pool()
    const [first, second] = [ask(pool, '/1'), ask(pool, '/2')]
    const peers = [await upstream.server.peer(), await upstream.server.peer()]
    const heads = await Promise.all(peers.map((peer) => peer.request()))
    const [of1, of2] = heads[0]?.startsWith('GET /1') === true ? peers : peers.toReversed()
    of2?.send(okWith('2'))
    await second.heard.over
    of1?.send(okWith('1'))
    await first.heard.over
    expect([pool.open, pool.idle]).toEqual([2, 2])
    for (let time = 0; time < 3; time += 1) {
      const { heard } = ask(pool, '/3')
      expect(await of1?.request()).toContain('GET /3')
      of1?.send(okWith('3'))
      await heard.over
    }
    expect(of2?.received).toBe('')
  })

  test('that nobody uses is closed in time, and the timer stops', async () => {
    const pool = upstream.pool({ keepAliveMs: 50 })
    upstream.server.answerAll(() => okWith('a'))
    await ask(pool, '/').heard.over
    await upstream.server.peers[0]?.left
    await until(() => pool.open === 0)
    expect(pool.idle).toBe(0)
  })
})

const kept = (field: string): string => `HTTP/1.1 200 OK\r\n${field}\r\nContent-Length: 1\r\n\r\na`

describe('a connection that its server keeps for a while', () => {
  test.each(['Keep-Alive: timeout=0', 'keep-alive: max=100, timeout=1', 'Keep-Alive: Timeout=1'])(
    'is given up before that: %s',
    async (field) => {
      const pool = upstream.pool({ keepAliveMs: 600_000 })
      upstream.server.answerAll(() => kept(field))
      await ask(pool, '/').heard.over
      await upstream.server.peers[0]?.left
      await until(() => pool.open === 0)
    },
  )

  test('for no time at all is not used by a request that waits for one', async () => {
    const pool = upstream.pool({ maxConnections: 1 })
    upstream.server.answerAll(() => kept('Keep-Alive: timeout=0'))
    const both = [ask(pool, '/1'), ask(pool, '/2')]
    for (const { heard } of both) expect((await heard.over).body).toBe('a')
    expect(upstream.server.peers).toHaveLength(2)
  })

  test.each(['Keep-Alive: timeout=600', 'Keep-Alive: timeout=x', 'Keep-Alive: max=1', 'Keep-Alive: xtimeout=0'])(
    'is used meanwhile, and by what the last answer says: %s',
    async (field) => {
      const pool = upstream.pool({ keepAliveMs: 200 })
      upstream.server.answerAll((head) => (head.includes('/1') ? kept('Keep-Alive: timeout=600') : kept(field)))
      for (const path of ['/1', '/2']) expect((await ask(pool, path).heard.over).body).toBe('a')
      expect(upstream.server.peers).toHaveLength(1)
      await upstream.server.peers[0]?.left
    },
  )
})

describe('an idle connection', () => {
  test('is dropped by an answer that nobody asked for', async () => {
    const pool = upstream.pool()
    ask(pool, '/a')
    const peer = await upstream.server.peer()
    await peer.request()
    peer.send(okWith('a'))
    await until(() => pool.idle === 1)
    peer.send(okWith('evil'))
    await peer.left
    expect([pool.open, pool.idle]).toEqual([0, 0])
    const { heard } = ask(pool, '/b')
    const other = await upstream.server.peer()
    await other.request()
    other.send(okWith('b'))
    expect((await heard.over).body).toBe('b')
  })

  test.each<['closes' | 'resets']>([['closes'], ['resets']])('that the server %s is not used', async (how) => {
    const pool = upstream.pool()
    const { heard } = ask(pool, '/a')
    const peer = await upstream.server.peer()
    await peer.request()
    peer.send(okWith('a'))
    await heard.over
    if (how === 'closes') peer.socket.end()
    else peer.socket.resetAndDestroy()
    await until(() => pool.open === 0)
    const next = ask(pool, '/b')
    const other = await upstream.server.peer()
    await other.request()
    other.send(okWith('b'))
    expect((await next.heard.over).body).toBe('b')
  })

  test('that is kept for longer than it may, because this process stands still, is not used', async () => {
    const pool = upstream.pool({ keepAliveMs: 400, maxConnections: 1 })
    upstream.server.answerAll((head) => okWith(head.split(' ')[1] ?? ''))
    await ask(pool, '/a').heard.over
    standStill(500)
    const [second, third] = [ask(pool, '/b'), ask(pool, '/c')]
    expect([(await second.heard.over).body, (await third.heard.over).body]).toEqual(['/b', '/c'])
    expect(upstream.server.peers).toHaveLength(2)
  })

  test('leaves the others to be used when the server closes it', async () => {
    const pool = upstream.pool()
    const both = [ask(pool, '/1'), ask(pool, '/2')]
    const peers = [await upstream.server.peer(), await upstream.server.peer()]
    for (const peer of peers) {
      await peer.request()
      peer.send(okWith('x'))
    }
    await Promise.all(both.map(({ heard }) => heard.over))
    peers[1]?.socket.end()
    await until(() => pool.open === 1)
    const { heard } = ask(pool, '/3')
    expect(await peers[0]?.request()).toContain('/3')
    peers[0]?.send(okWith('3'))
    expect((await heard.over).body).toBe('3')
  })
})
