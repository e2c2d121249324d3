import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { until } from '@ipfleet/testing/until.ts'
import type { ConnectionPool } from '../../src/http1/connection-pool.ts'
import { okWith, type Peer } from './scripted-server.ts'
import { ask, TestUpstream, withPatience } from './test-upstream.ts'

let upstream: TestUpstream
beforeEach(async () => {
  upstream = await TestUpstream.set()
})
afterEach(() => upstream.clear())

const countsOf = ({ open, idle, waiting }: ConnectionPool): number[] => [open, idle, waiting]

async function answerNext(peer: Peer): Promise<string> {
  const path = (await peer.request()).split(' ')[1] ?? ''
  peer.send(okWith(path))
  return path
}

describe('the line for a connection', () => {
  test('keeps its order', async () => {
    const pool = upstream.pool({ maxConnections: 1, maxWaiting: 3 })
    const asked = ['/0', '/1', '/2', '/3'].map((path) => ask(pool, path))
    expect(countsOf(pool)).toEqual([1, 0, 3])
    const peer = await upstream.server.peer()
    for (const [index, { heard }] of asked.entries()) {
      expect(await answerNext(peer)).toBe(`/${index}`)
      expect((await heard.over).body).toBe(`/${index}`)
    }
    expect(countsOf(pool)).toEqual([1, 1, 0])
    expect(upstream.server.peers).toHaveLength(1)
  })

  test('has an end', async () => {
    const pool = upstream.pool({ maxConnections: 1, maxWaiting: 1 })
    ask(pool, '/1')
    ask(pool, '/2')
    const { heard } = ask(pool, '/3')
    // Not before `exchange` has returned.
    expect(heard.events).toEqual([])
    await heard.over
    expect(heard.events).toEqual(['failed busy'])
    expect(heard.fault?.unsent).toBe(true)
    expect(countsOf(pool)).toEqual([1, 0, 1])
  })

  test('takes as long as it takes to connect, no longer', async () => {
    const pool = upstream.pool({ maxConnections: 1, connectTimeoutMs: 200 })
    const first = ask(pool, '/1')
    const peer = await upstream.server.peer()
    await peer.request()
    const { heard } = ask(pool, '/2')
    await heard.over
    expect(heard.events).toEqual(['failed busy'])
    expect(countsOf(pool)).toEqual([1, 0, 0])
    peer.send(okWith('1'))
    expect((await first.heard.over).body).toBe('1')
  })

  test('ends by itself also where no connection may be made', async () => {
    const pool = upstream.pool({ maxConnections: 0, connectTimeoutMs: 100 })
    const { heard } = ask(pool, '/1')
    await heard.over
    expect([heard.events, countsOf(pool)]).toEqual([['failed busy'], [0, 0, 0]])
  })

  test('goes on with a new connection when one breaks', async () => {
    const pool = upstream.pool({ maxConnections: 1 })
    const asked = ['/1', '/2', '/3'].map((path) => ask(pool, path))
    for (let index = 0; index < 2; index += 1) {
      const peer = await upstream.server.peer()
      await peer.request()
      peer.socket.resetAndDestroy()
    }
    await answerNext(await upstream.server.peer())
    await Promise.all(asked.map(({ heard }) => heard.over))
    expect(asked.map(({ heard }) => heard.events[0])).toEqual(['failed lost', 'failed lost', 'answered 200'])
    expect(countsOf(pool)).toEqual([1, 1, 0])
  })

  test('goes on when answers close the connection', async () => {
    const pool = upstream.pool({ maxConnections: 2, maxWaiting: 100 })
    upstream.server.answerAll(() => 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na')
    const asked = Array.from({ length: 50 }, (_, index) => ask(pool, `/${index}`))
    for (const { heard } of asked) expect((await heard.over).events).toEqual(['answered 200'])
    expect(countsOf(pool)).toEqual([0, 0, 0])
  })
})

describe('new options', () => {
  test('with more connections serve who stands in line', async () => {
    const pool = upstream.pool({ maxConnections: 1 })
    ask(pool, '/1')
    const second = ask(pool, '/2')
    await (await upstream.server.peer()).request()
    pool.configure(withPatience({ maxConnections: 2 }))
    expect(await answerNext(await upstream.server.peer())).toBe('/2')
    expect((await second.heard.over).body).toBe('/2')
    expect(countsOf(pool)).toEqual([2, 1, 0])
  })

  test('with fewer connections close those that become free', async () => {
    const pool = upstream.pool({ maxConnections: 2 })
    const asked = [ask(pool, '/1'), ask(pool, '/2'), ask(pool, '/3')]
    const peers = [await upstream.server.peer(), await upstream.server.peer()]
    pool.configure(withPatience({ maxConnections: 1 }))
    await Promise.all(peers.map(answerNext))
    expect(await until(() => peers.find((peer) => peer.isClosed))).toBeDefined()
    expect(await answerNext(peers.find((peer) => !peer.isClosed) ?? (await upstream.server.peer()))).toBe('/3')
    await Promise.all(asked.map(({ heard }) => heard.over))
    expect(countsOf(pool)).toEqual([1, 1, 0])
  })

  test('with fewer connections begin none for one that breaks', async () => {
    const pool = upstream.pool({ maxConnections: 2 })
    const asked = [ask(pool, '/1'), ask(pool, '/2'), ask(pool, '/3')]
    const peers = [await upstream.server.peer(), await upstream.server.peer()]
    await Promise.all(peers.map((peer) => peer.request()))
    pool.configure(withPatience({ maxConnections: 1 }))
    peers[0]?.socket.resetAndDestroy()
    await until(() => pool.open === 1)
    expect(countsOf(pool)).toEqual([1, 0, 1])
    peers[1]?.send(okWith('x'))
    await answerNext(peers[1]!)
    await Promise.all(asked.map(({ heard }) => heard.over))
    expect(upstream.server.peers).toHaveLength(2)
  })

  test('hold for the next exchange, also on a connection that is there', async () => {
    const pool = upstream.pool()
    const first = ask(pool, '/1')
    const peer = await upstream.server.peer()
    await answerNext(peer)
    await first.heard.over
    pool.configure(withPatience({ answerTimeoutMs: 100 }))
    const { heard } = ask(pool, '/2')
    await peer.request()
    await heard.over
    expect(heard.events).toEqual(['failed silent'])
  })

  test('do not hold for an exchange that is under way', async () => {
    const pool = upstream.pool()
    const { heard } = ask(pool, '/1')
    const peer = await upstream.server.peer()
    await peer.request()
    pool.configure(withPatience({ answerTimeoutMs: 50, connectTimeoutMs: 50, idleTimeoutMs: 50 }))
    await new Promise((resolve) => setTimeout(resolve, 300))
    peer.send(okWith('1'))
    expect((await heard.over).body).toBe('1')
  })
})

describe('a pool that closes', () => {
  test('closes at once what nobody uses, and the rest when its answer is out', async () => {
    const pool = upstream.pool({ maxConnections: 3 })
    const idle = ask(pool, '/idle')
    const idlePeer = await upstream.server.peer()
    await answerNext(idlePeer)
    await idle.heard.over
    const [first, second] = [ask(pool, '/first'), ask(pool, '/second')]
    await idlePeer.request()
    const other = await upstream.server.peer()
    await other.request()
    idlePeer.send(okWith('first'))
    await first.heard.over
    pool.close()
    await idlePeer.left
    expect(countsOf(pool)).toEqual([1, 0, 0])
    other.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nsec\r\n')
    await until(() => second.heard.body === 'sec')
    other.send('3\r\nond\r\n0\r\n\r\n')
    expect((await second.heard.over).body).toBe('second')
    await other.left
    expect(countsOf(pool)).toEqual([0, 0, 0])
  })

  test('sends away who stands in line', async () => {
    const pool = upstream.pool({ maxConnections: 1 })
    const asked = [ask(pool, '/1'), ask(pool, '/2'), ask(pool, '/3')]
    const peer = await upstream.server.peer()
    pool.close()
    await answerNext(peer)
    for (const { heard } of asked) await heard.over
    expect(asked.map(({ heard }) => heard.events[0])).toEqual(['answered 200', 'failed busy', 'failed busy'])
    await peer.left
    expect(countsOf(pool)).toEqual([0, 0, 0])
  })

  test('finishes what is connecting', async () => {
    const pool = upstream.pool()
    const { heard } = ask(pool, '/1')
    pool.close()
    const peer = await upstream.server.peer()
    await answerNext(peer)
    expect((await heard.over).body).toBe('/1')
    await peer.left
    expect(countsOf(pool)).toEqual([0, 0, 0])
  })

  test('serves a late one by a connection of its own, and lets none stand in line', async () => {
    const pool = upstream.pool({ maxConnections: 1 })
    pool.close()
    const [late, later] = [ask(pool, '/late'), ask(pool, '/later')]
    await later.heard.over
    expect(later.heard.events).toEqual(['failed busy'])
    const peer = await upstream.server.peer()
    await answerNext(peer)
    expect((await late.heard.over).body).toBe('/late')
    await peer.left
    expect(countsOf(pool)).toEqual([0, 0, 0])
    pool.close()
  })
})

test('every one of a crowd gets its own answer', async () => {
  const pool = upstream.pool({ maxConnections: 10, maxWaiting: 1000 })
  let served = 0
  upstream.server.answerAll((head) => {
    const path = head.split(' ')[1] ?? ''
    served += 1
    // Of every kind, and some on connections that end.
    if (served % 3 === 0)
      return `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${path.length.toString(16)}\r\n${path}\r\n0\r\n\r\n`
    if (served % 50 === 1) return okWith(path).replace('OK\r\n', 'OK\r\nConnection: close\r\n')
    return okWith(path)
  })
  const asked = Array.from({ length: 1000 }, (_, index) => ask(pool, `/${index}`))
  expect(countsOf(pool)).toEqual([10, 0, 990])
  await Promise.all(asked.map(({ heard }) => heard.over))
  expect(asked.map(({ heard }) => heard.body)).toEqual(asked.map((_, index) => `/${index}`))
  expect(pool.open).toBeLessThanOrEqual(10)
  expect([pool.idle, pool.waiting]).toEqual([pool.open, 0])
})

test('a crowd of which many leave at every moment leaves no connection in use', async () => {
  const pool = upstream.pool({ maxConnections: 5, maxWaiting: 300 })
  upstream.server.answerAll((head) => okWith(head.split(' ')[1] ?? ''))
  const asked = Array.from({ length: 300 }, (_, index) => {
    const one = ask(pool, `/${index}`)
    if (index % 2 === 0) setTimeout(() => one.exchange.abort(), index % 40)
    return one
  })
  const stay = asked.filter((_, index) => index % 2 === 1)
  await Promise.all(stay.map(({ heard }) => heard.over))
  await until(() => pool.waiting === 0 && pool.open === pool.idle)
  expect(stay.map(({ heard }) => heard.body)).toEqual(stay.map((_, index) => `/${index * 2 + 1}`))
  expect(pool.open).toBeLessThanOrEqual(5)
})

/** Requests of one client, as far as they get by the next turn. */
async function hold(count: number, pool: ConnectionPool, client: string): Promise<ReturnType<typeof ask>[]> {
  const asked = Array.from({ length: count }, (_, index) => ask(pool, `/${client}${index}`, { client }))
  await new Promise(setImmediate)
  return asked
}

describe('clients that share the connections', () => {
  test('one with many requests leaves half of them to others; its own wait, and go on as its answers come', async () => {
    const pool = upstream.pool({ maxConnections: 4, maxWaiting: 10, clientSharePercent: 50 })
    const many = await hold(4, pool, 'many')
    expect(countsOf(pool)).toEqual([2, 0, 2])
    const [other] = await hold(1, pool, 'other')
    expect(countsOf(pool)).toEqual([3, 0, 2])
    const peers = await Promise.all([upstream.server.peer(), upstream.server.peer(), upstream.server.peer()])
    const paths = await Promise.all(peers.map((peer) => answerNext(peer)))
    expect(paths.toSorted()).toEqual(['/many0', '/many1', '/other0'])
    expect((await other?.heard.over)?.body).toBe('/other0')
    await until(() => pool.waiting === 0)
    expect(pool.open - pool.idle).toBe(2)
    for (const { exchange } of many) exchange.abort()
  })

  test('one that waits with too many is told that it is its own share', async () => {
    const pool = upstream.pool({ maxConnections: 4, maxWaiting: 4, clientSharePercent: 50 })
    const asked = await hold(6, pool, 'many')
    const faults = asked.map(({ heard }) => heard.fault?.limit)
    expect(faults).toEqual([undefined, undefined, undefined, undefined, 'client_share', 'client_share'])
    for (const { exchange } of asked) exchange.abort()
  })
})
