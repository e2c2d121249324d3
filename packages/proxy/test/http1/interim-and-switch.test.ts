import { Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { until } from '@ipfleet/testing/until.ts'
import { okWith } from './scripted-server.ts'
import { ask, TestUpstream } from './test-upstream.ts'

let upstream: TestUpstream
beforeEach(async () => {
  upstream = await TestUpstream.set()
})
afterEach(() => upstream.clear())

describe('interim answers', () => {
  test('come before the answer, with their fields', async () => {
    const { heard } = ask(upstream.pool(), '/')
    const peer = await upstream.server.peer()
    await peer.request()
    peer.answer(['HTTP/1.1 102 Processing'])
    await until(() => heard.interims.length === 1)
    peer.send(`HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: x\r\nX: y\r\n\r\n${okWith('ok')}`)
    await heard.over
    expect(heard.events).toEqual(['interim 102', 'interim 103', 'answered 200'])
    expect(heard.interims[1]).toEqual({ status: 103, reason: 'Early Hints', fields: ['Link', '</a>'] })
  })

  test('let a body begin', async () => {
    const pool = upstream.pool()
    const hooks = {
      interim: () => {
        exchange.write(Buffer.from('hello'))
        exchange.finish()
      },
    }
    const { exchange, heard } = ask(pool, '/', { method: 'PUT', body: 5 }, hooks)
    const peer = await upstream.server.peer()
    await peer.request()
    peer.answer(['HTTP/1.1 100 Continue'])
    await peer.takeThrough('hello')
    peer.send(okWith('ok'))
    await heard.over
    expect([heard.events, pool.idle]).toEqual([['interim 100', 'answered 200'], 1])
  })

  test('are counted anew for each request', async () => {
    const pool = upstream.pool()
    upstream.server.answerAll(() => 'HTTP/1.1 102 x\r\n\r\n'.repeat(20) + okWith('ok'))
    for (let time = 0; time < 3; time += 1) expect((await ask(pool, '/').heard.over).body).toBe('ok')
    expect(upstream.server.peers).toHaveLength(1)
  })
})

describe('a switch of protocols', () => {
  const accepted = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nA: b\r\n\r\n'
  const upgrade = 'websocket'

  test('hands the connection over, with what came early', async () => {
    const pool = upstream.pool()
    const { exchange, heard } = ask(pool, '/', { upgrade })
    const peer = await upstream.server.peer()
    expect(await peer.request()).toContain('Connection: Upgrade\r\nUpgrade: websocket\r\n')
    peer.send(`${accepted}early`)
    await heard.over
    expect(heard.events).toEqual(['switched websocket'])
    expect(heard.head).toMatchObject({ status: 101, upgrade: 'websocket', fields: ['A', 'b'] })
    expect(heard.switchedTo?.early.toString()).toBe('early')
    expect([pool.open, pool.idle]).toEqual([0, 0])
    // It is nobody else's any more.
    exchange.abort()
    exchange.pause()
    pool.close()
    const { socket } = heard.switchedTo ?? {}
    const echoed = Promise.withResolvers<string>()
    socket?.on('data', (chunk: Buffer) => echoed.resolve(chunk.toString()))
    socket?.write('ping')
    await peer.takeThrough('ping')
    peer.send('pong')
    expect(await echoed.promise).toBe('pong')
    socket?.destroy()
  })

  test('leaves no listener behind, however often the connection was used before', async () => {
    const pool = upstream.pool()
    for (let time = 0; time < 3; time += 1) {
      const { heard } = ask(pool, '/')
      const peer = upstream.server.peers[0] ?? (await upstream.server.peer())
      await peer.request()
      peer.send(okWith('ok'))
      await heard.over
    }
    const { heard } = ask(pool, '/', { upgrade })
    await upstream.server.peers[0]?.request()
    upstream.server.peers[0]?.send(accepted)
    await heard.over
    const fresh = new Socket()
    const socket = heard.switchedTo?.socket
    for (const event of ['connect', 'data', 'drain', 'end', 'error', 'close', 'timeout']) {
      expect([event, socket?.listenerCount(event)]).toEqual([event, fresh.listenerCount(event)])
    }
    socket?.destroy()
  })

  test('frees the place for the next in line', async () => {
    const pool = upstream.pool({ maxConnections: 1 })
    const { heard } = ask(pool, '/', { upgrade })
    const next = ask(pool, '/next')
    const peer = await upstream.server.peer()
    await peer.request()
    peer.send(accepted)
    await heard.over
    const other = await upstream.server.peer()
    await other.request()
    other.send(okWith('next'))
    expect((await next.heard.over).body).toBe('next')
    heard.switchedTo?.socket.destroy()
  })

  test('may be declined', async () => {
    const pool = upstream.pool()
    const { heard } = ask(pool, '/', { upgrade })
    const peer = await upstream.server.peer()
    await peer.request()
    peer.send('HTTP/1.1 426 Upgrade Required\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n')
    await heard.over
    expect([heard.head?.status, heard.head?.upgrade, pool.idle]).toEqual([426, 'h2c', 1])
  })

  test('that nobody asked for is not made on a connection where somebody once did', async () => {
    const pool = upstream.pool()
    const first = ask(pool, '/', { upgrade })
    const peer = await upstream.server.peer()
    await peer.request()
    peer.send(okWith('no'))
    await first.heard.over
    const second = ask(pool, '/')
    await peer.request()
    peer.send(accepted)
    await second.heard.over
    expect(second.heard.events).toEqual(['failed garbled'])
  })
})
