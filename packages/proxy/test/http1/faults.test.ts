import { createServer } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { UpstreamFault } from '../../src/http1/upstream-fault.ts'
import { standStill } from '@ipfleet/testing/stand-still.ts'
import { okWith, type Peer } from './scripted-server.ts'
import { ask, TestUpstream, writeUntilStuck } from './test-upstream.ts'

let upstream: TestUpstream
beforeEach(async () => {
  upstream = await TestUpstream.set()
})
afterEach(() => upstream.clear())

const halfHead = 'HTTP/1.1 200 OK\r\nContent-Le'
const halfBody = 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf'
const halfChunk = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nha'
const noEnd = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nha\r\n'

describe('the connection ends', () => {
  const ends: readonly (readonly [string, (peer: Peer) => void])[] = [
    ['closes', ({ socket }) => socket.end()],
    ['resets', ({ socket }) => socket.resetAndDestroy()],
  ]
  const when: readonly (readonly [string, string, readonly string[]])[] = [
    ['before an answer', '', ['failed lost']],
    ['in the head', halfHead, ['failed cut']],
    ['after an interim answer', 'HTTP/1.1 100 Continue\r\n\r\n', ['interim 100', 'failed cut']],
    ['in the body', halfBody, ['answered 200', 'data', 'failed cut']],
    ['in a chunk', halfChunk, ['answered 200', 'data', 'failed cut']],
    ['before the last chunk', noEnd, ['answered 200', 'data', 'failed cut']],
  ]
  test.each(
    ends.flatMap(([how, end]) => when.map(([place, sent, events]) => [how, place, end, sent, events] as const)),
  )('the server %s it %s', async (_how, _place, end, sent, events) => {
    const arrived = Promise.withResolvers<void>()
    const pool = upstream.pool()
    const { heard } = ask(pool, '/', {}, { data: () => arrived.resolve(), interim: () => arrived.resolve() })
    const peer = await upstream.server.peer()
    await peer.request()
    peer.send(sent)
    // A reset overtakes what was sent before.
    if (events.length > 1) await arrived.promise
    else if (sent !== '') await new Promise((resolve) => setTimeout(resolve, 50))
    end(peer)
    await heard.over
    expect(heard.events).toEqual(events)
    expect(heard.fault).toBeInstanceOf(UpstreamFault)
    expect(heard.fault?.unsent).toBe(false)
    expect([pool.open, pool.idle]).toEqual([0, 0])
  })
})

describe('time runs out', () => {
  test.each([
    ['for an answer', '', ['failed silent']],
    ['in the head', halfHead, ['failed silent']],
    ['after an interim answer', 'HTTP/1.1 102 Processing\r\n\r\n', ['interim 102', 'failed silent']],
    ['in the body', halfBody, ['answered 200', 'data', 'failed stalled']],
    ['in a chunk', halfChunk, ['answered 200', 'data', 'failed stalled']],
    ['until the end of the connection', 'HTTP/1.1 200 OK\r\n\r\nhalf', ['answered 200', 'data', 'failed stalled']],
  ])('%s', async (_place, sent, events) => {
    // Where something is to come in time, there is time for it.
    const pool = upstream.pool({ answerTimeoutMs: events.length === 1 ? 200 : 3000, idleTimeoutMs: 200 })
    const { heard } = ask(pool, '/')
    const peer = await upstream.server.peer()
    await peer.request()
    peer.send(sent)
    await heard.over
    expect(heard.events).toEqual(events)
    await peer.left
    expect([pool.open, pool.idle]).toEqual([0, 0])
  })

  test('not while this process stands still: what came meanwhile is in time', async () => {
    const { heard } = ask(upstream.pool({ connectTimeoutMs: 100 }), '/')
    standStill(300)
    const peer = await upstream.server.peer()
    await peer.request()
    peer.send(okWith('in time'))
    await heard.over
    expect([heard.fault, heard.body]).toEqual([undefined, 'in time'])
  })

  test('not in an answer that takes long but goes on', async () => {
    const { heard } = ask(upstream.pool({ answerTimeoutMs: 4000, idleTimeoutMs: 4000 }), '/')
    const peer = await upstream.server.peer()
    await peer.request()
    peer.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n')
    for (let index = 0; index < 4; index += 1) {
      await new Promise((resolve) => setTimeout(resolve, 1100))
      peer.send(String(index))
    }
    expect((await heard.over).body).toBe('0123')
  })

  test('not while the request is still being written', async () => {
    const { exchange, heard } = ask(upstream.pool({ answerTimeoutMs: 1500, idleTimeoutMs: 1500 }), '/', {
      method: 'POST',
      body: 2,
    })
    const peer = await upstream.server.peer()
    await peer.request()
    exchange.write(Buffer.from('a'))
    await new Promise((resolve) => setTimeout(resolve, 2000))
    expect(heard.events).not.toContain('failed silent')
    exchange.write(Buffer.from('b'))
    exchange.finish()
    await peer.takeThrough('ab')
    peer.send(okWith('c'))
    expect((await heard.over).body).toBe('c')
  })

  test('not for an answer that waits for the rest of its request', async () => {
    const pool = upstream.pool({ idleTimeoutMs: 300 })
    const { exchange, heard } = ask(pool, '/', { method: 'POST', body: 10 })
    const peer = await upstream.server.peer()
    await peer.request()
    peer.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n')
    for (let index = 0; index < 10; index += 1) {
      exchange.write(Buffer.from('a'))
      await new Promise((resolve) => setTimeout(resolve, 80))
    }
    exchange.finish()
    peer.send('ok')
    expect((await heard.over).body).toBe('ok')
    expect([heard.fault, pool.idle]).toEqual([undefined, 1])
  })

  test('for a server that takes no more of the request', async () => {
    const { exchange, heard } = ask(upstream.pool({ idleTimeoutMs: 700 }), '/', { method: 'POST', body: 'chunked' })
    const peer = await upstream.server.peer()
    await peer.request()
    peer.socket.pause()
    await writeUntilStuck(exchange, heard)
    // Whoever writes on in spite of that gains no time by it.
    const writing = setInterval(() => exchange.write(Buffer.from('a')), 20)
    await heard.over
    clearInterval(writing)
    expect(heard.fault).toMatchObject({ kind: 'stalled', message: 'the server stopped taking the request' })
  })
})

describe('no connection comes about', () => {
  test('because nobody listens', async () => {
    const closed = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => closed.once('listening', resolve))
    const address = closed.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    await new Promise((resolve) => closed.close(resolve))
    const pool = upstream.pool({}, { address: '127.0.0.1', port })
    const { exchange, heard } = ask(pool, '/', { method: 'POST', body: 1 })
    expect(heard.events).toEqual([])
    exchange.write(Buffer.from('a'))
    await heard.over
    expect(heard.events).toEqual(['failed unreachable'])
    expect(heard.fault?.unsent).toBe(true)
    expect(heard.fault?.cause).toMatchObject({ code: 'ECONNREFUSED' })
    expect(pool.open).toBe(0)
  })

  test('in time: the server does not shake hands', async () => {
    const pool = upstream.pool(
      { connectTimeoutMs: 200 },
      { ...upstream.server.target, tls: { servername: 'a.example' } },
    )
    const { heard } = ask(pool, '/')
    await heard.over
    expect(heard.events).toEqual(['failed unreachable'])
    expect(heard.fault?.message).toBe('the connection was not made in time')
    expect(pool.open).toBe(0)
  })

  test('because the server does not speak TLS', async () => {
    const pool = upstream.pool({}, { ...upstream.server.target, tls: { servername: 'a.example' } })
    const { heard } = ask(pool, '/')
    const peer = await upstream.server.peer()
    peer.send('HTTP/1.1 400 Bad Request\r\n\r\n')
    await heard.over
    expect(heard.events).toEqual(['failed unreachable'])
  })
})

test.each([
  ['another protocol', 'SSH-2.0-OpenSSH_9.6\r\n', []],
  ['a bare CR', 'HTTP/1.1 200 OK\rContent-Length: 0\r\n\r\n', []],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na', []],
  ['a bad chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\nx\r\n', ['answered 200', 'data']],
  ['a switch that nobody asked for', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n', []],
  ['interim answers without end', 'HTTP/1.1 102 x\r\n\r\n'.repeat(40), Array.from({ length: 32 }, () => 'interim 102')],
  ['a head without end', `HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(20_000)}`, []],
])('what cannot be read safely is garbled: %s', async (_what, sent, before) => {
  const pool = upstream.pool()
  const { heard } = ask(pool, '/')
  const peer = await upstream.server.peer()
  await peer.request()
  peer.send(sent)
  await heard.over
  expect(heard.events).toEqual([...before, 'failed garbled'])
  await peer.left
  expect([pool.open, pool.idle]).toEqual([0, 0])
})
