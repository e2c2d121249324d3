import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { until } from '@ipfleet/testing/until.ts'
import type { ConnectionPool } from '../../src/http1/connection-pool.ts'
import type { ExchangeHandler } from '../../src/http1/exchange-types.ts'
import { okWith } from './scripted-server.ts'
import { ask, TestUpstream } from './test-upstream.ts'

let upstream: TestUpstream
let pool: ConnectionPool
beforeEach(async () => {
  upstream = await TestUpstream.set()
  pool = upstream.pool({ maxConnections: 1 })
})
afterEach(async () => {
  jest.restoreAllMocks()
  await upstream.clear()
})

const mistake = new Error('a mistake')
const blunder = (): never => {
  throw mistake
}
const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n'

async function nextIsServed(next: ReturnType<typeof ask>): Promise<void> {
  const peer = await until(() => upstream.server.peers.find((one) => !one.isClosed && one.received.includes('/next')))
  await peer.request()
  peer.send(okWith('next'))
  expect((await next.heard.over).events).toEqual(['answered 200'])
  expect([pool.open, pool.idle, pool.waiting]).toEqual([1, 1, 0])
}

describe('a handler that throws harms nobody else', () => {
  test.each<[keyof ExchangeHandler, string, string[]]>([
    ['interim', `HTTP/1.1 102 x\r\n\r\n${okWith('a')}`, ['interim 102', 'failed garbled']],
    ['answered', okWith('a'), ['answered 200', 'failed garbled']],
    ['answered', chunked, ['answered 200', 'failed garbled']],
    ['data', chunked, ['answered 200', 'data', 'failed garbled']],
    ['ended', chunked, ['answered 200', 'data', 'ended', 'failed garbled']],
  ])('in %s', async (callback, sent, events) => {
    const { heard } = ask(pool, '/', {}, { [callback]: blunder })
    const next = ask(pool, '/next')
    const peer = await upstream.server.peer()
    await peer.request()
    peer.send(sent)
    await until(() => heard.fault)
    expect(heard.events).toEqual(events)
    expect(heard.fault).toMatchObject({ message: 'the answer could not be passed on', cause: mistake })
    await nextIsServed(next)
  })

  test('in ended, when the connection ends the answer', async () => {
    const { heard } = ask(pool, '/', {}, { ended: blunder })
    const next = ask(pool, '/next')
    const peer = await upstream.server.peer()
    await peer.request()
    peer.send('HTTP/1.1 200 OK\r\n\r\nhe')
    peer.socket.end()
    await until(() => heard.fault)
    expect(heard.events).toEqual(['answered 200', 'data', 'ended', 'failed garbled'])
    await nextIsServed(next)
  })

  test('in switched, and the connection is closed', async () => {
    const { heard } = ask(pool, '/', { upgrade: 'x' }, { switched: blunder })
    const next = ask(pool, '/next')
    const peer = await upstream.server.peer()
    await peer.request()
    peer.send('HTTP/1.1 101 x\r\nUpgrade: x\r\n\r\n')
    await until(() => heard.fault)
    expect(heard.events).toEqual(['switched x', 'failed garbled'])
    await peer.left
    await nextIsServed(next)
  })

  test('in drained, whether it has stood in line or not', async () => {
    const first = ask(pool, '/1')
    const { exchange, heard } = ask(pool, '/2', { method: 'POST', body: 'chunked' }, { drained: blunder })
    exchange.write(Buffer.from('a'))
    const next = ask(pool, '/next')
    const peer = await upstream.server.peer()
    await peer.request()
    peer.send(okWith('1'))
    expect((await first.heard.over).events).toEqual(['answered 200'])
    await until(() => heard.fault)
    expect(heard.events).toEqual(['drained', 'failed garbled'])
    await peer.left
    await nextIsServed(next)
    const large = ask(pool, '/3', { method: 'POST', body: 'chunked' }, { drained: blunder })
    await upstream.server.peers.at(-1)?.request()
    large.exchange.write(Buffer.alloc(20_000_000))
    await until(() => large.heard.fault)
    expect(large.heard.events).toEqual(['drained', 'failed garbled'])
  })

  test('after it has aborted its exchange, when it is told no more', async () => {
    const thrown = thrownLater()
    const { exchange, heard } = ask(
      pool,
      '/',
      {},
      {
        answered: () => {
          exchange.abort()
          blunder()
        },
      },
    )
    const next = ask(pool, '/next')
    const peer = await upstream.server.peer()
    await peer.request()
    peer.send(chunked)
    await nextIsServed(next)
    expect(heard.events).toEqual(['answered 200'])
    expect(thrown()).toEqual([mistake])
  })
})

/** What has been thrown with nobody left to be told; without this it would end the process. */
function thrownLater(): () => unknown[] {
  const tasks: (() => void)[] = []
  const spy = jest.spyOn(globalThis, 'queueMicrotask').mockImplementation((task) => void tasks.push(task))
  return () => {
    spy.mockRestore()
    return tasks.flatMap((task) => {
      try {
        task()
        return []
      } catch (error) {
        return [error]
      }
    })
  }
}

describe('a handler that throws when it is told of a failure does so where it harms nobody else', () => {
  test('of its connection', async () => {
    const { heard } = ask(pool, '/', {}, { failed: blunder })
    const next = ask(pool, '/next')
    const peer = await upstream.server.peer()
    await peer.request()
    const thrown = thrownLater()
    peer.socket.resetAndDestroy()
    await heard.over
    expect(thrown()).toEqual([mistake])
    await nextIsServed(next)
  })

  test('of its time', async () => {
    pool = upstream.pool({ answerTimeoutMs: 100, maxConnections: 3 })
    const asked = [1, 2, 3].map((index) => ask(pool, `/${index}`, {}, { failed: blunder }))
    const thrown = thrownLater()
    for (const { heard } of asked) expect((await heard.over).events).toEqual(['failed silent'])
    expect(thrown()).toEqual([mistake, mistake, mistake])
    expect(pool.open).toBe(0)
  })

  test('of the end of the line', async () => {
    const first = ask(pool, '/1')
    const asked = [1, 2, 3].map((index) => ask(pool, `/${index}`, {}, { failed: blunder }))
    const thrown = thrownLater()
    pool.close()
    for (const { heard } of asked) expect(heard.events).toEqual(['failed busy'])
    expect(thrown()).toEqual([mistake, mistake, mistake])
    const peer = await upstream.server.peer()
    await peer.request()
    peer.send(okWith('1'))
    await first.heard.over
    expect([pool.open, pool.waiting]).toEqual([0, 0])
  })
})

describe('a handler may begin another exchange from within what it is told', () => {
  test.each<[keyof ExchangeHandler, string]>([
    ['interim', `HTTP/1.1 102 x\r\n\r\n${okWith('a')}`],
    ['answered', okWith('a')],
    ['answered', chunked],
    ['data', chunked],
    ['ended', chunked],
    ['failed', 'nonsense'],
  ])('in %s', async (callback, sent) => {
    let next: ReturnType<typeof ask> | undefined
    const { heard } = ask(pool, '/', {}, { [callback]: () => (next ??= ask(pool, '/next')) })
    const peer = await upstream.server.peer()
    await peer.request()
    peer.send(sent)
    await heard.over
    await nextIsServed(await until(() => next))
  })

  test('when it is sent away from a line that closes', async () => {
    ask(pool, '/1')
    let again: ReturnType<typeof ask> | undefined
    const { heard } = ask(pool, '/2', {}, { failed: () => (again = ask(pool, '/3')) })
    pool.close()
    await heard.over
    expect((await again?.heard.over)?.events).toEqual(['failed busy'])
    expect(pool.waiting).toBe(0)
  })
})
