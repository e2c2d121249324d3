import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { until } from '@ipfleet/testing/until.ts'
import { exchangeOver } from '../../src/http1/exchange-over.ts'
import type { ExchangeTimeouts } from '../../src/http1/connection-timeouts.ts'
import type { Exchange } from '../../src/http1/exchange.ts'
import type { ExchangeHandler, UpstreamRequest } from '../../src/http1/exchange-types.ts'
import { Heard } from './heard.ts'
import { okWith, type Peer, ScriptedServer } from './scripted-server.ts'

let server: ScriptedServer
beforeEach(async () => {
  server = await ScriptedServer.start()
})
afterEach(() => server.stop())

interface Asked {
  readonly exchange: Exchange
  readonly heard: Heard
  readonly socket: Socket
  readonly peer: Peer
}

async function connected(): Promise<Pick<Asked, 'socket' | 'peer'>> {
  const { address, port } = server.target
  const socket = connect({ host: address, port, allowHalfOpen: true })
  await once(socket, 'connect')
  return { socket, peer: await server.peer() }
}

function askOver(
  socket: Socket,
  request: Partial<UpstreamRequest> = {},
  timeouts: Partial<ExchangeTimeouts> = {},
  hooks: Partial<ExchangeHandler> = {},
): Pick<Asked, 'exchange' | 'heard'> {
  const heard = new Heard(hooks)
  const method = request.method ?? 'GET'
  const whole = { method, head: `${method} / HTTP/1.1\r\nHost: a\r\n`, body: 'none', ...request } as const
  const patient = { answerTimeoutMs: 10_000, idleTimeoutMs: 10_000 }
  return { heard, exchange: exchangeOver(socket, whole, heard, { ...patient, ...timeouts }) }
}

async function ask(request: Partial<UpstreamRequest> = {}, timeouts: Partial<ExchangeTimeouts> = {}): Promise<Asked> {
  const connection = await connected()
  return { ...connection, ...askOver(connection.socket, request, timeouts) }
}

// First, since the timer of another test may not rest yet.
test('one timer looks after all of them, keeps no process alive and rests after the last', async () => {
  const [started, stopped] = [jest.spyOn(globalThis, 'setInterval'), jest.spyOn(globalThis, 'clearInterval')]
  const asked = [await ask(), await ask()]
  expect(started).toHaveBeenCalledTimes(1)
  const timer = started.mock.results[0]?.value as NodeJS.Timeout
  expect(timer.hasRef()).toBe(false)
  for (const { heard, peer } of asked) {
    expect(stopped).not.toHaveBeenCalledWith(timer)
    await peer.request()
    peer.send(okWith('x'))
    await heard.over
  }
  await until(() => stopped.mock.calls.some(([stoppedTimer]) => stoppedTimer === timer))
  jest.restoreAllMocks()
})

describe('an exchange over a connection of its own', () => {
  test('says that it is the only one, and closes the connection after it', async () => {
    const { heard, peer, socket } = await ask()
    expect(await peer.request()).toBe('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    peer.send(okWith('hello'))
    expect((await heard.over).events).toEqual(['answered 200'])
    expect([heard.body, socket.destroyed]).toEqual(['hello', true])
    await peer.left
  })

  test('carries a body and trailers there and back', async () => {
    const { exchange, heard, peer } = await ask({ method: 'POST', body: 'chunked', takesTrailers: true })
    exchange.write(Buffer.from('question'))
    exchange.finish(['X-Sum', '1'])
    expect(await peer.request()).toContain('Connection: close, TE\r\nTE: trailers\r\n')
    expect(await peer.takeThrough('0\r\nX-Sum: 1\r\n\r\n')).toContain('8\r\nquestion\r\n')
    peer.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nanswer\r\n0\r\nX-Sum: 2\r\n\r\n')
    await heard.over
    expect([heard.events, heard.body, heard.trailers]).toEqual([
      ['answered 200', 'data', 'ended'],
      'answer',
      ['X-Sum', '2'],
    ])
    await peer.left
  })

  test('may be answered until the connection ends', async () => {
    const { heard, peer } = await ask()
    await peer.request()
    peer.send('HTTP/1.0 200 OK\r\n\r\nall')
    peer.socket.end()
    expect((await heard.over).events).toEqual(['answered 200', 'data', 'ended'])
    await peer.left
  })

  test('hands the connection over when protocols are switched', async () => {
    const { heard, peer, socket } = await ask({ upgrade: 'websocket' })
    expect(await peer.request()).toContain('Connection: Upgrade\r\nUpgrade: websocket\r\n')
    peer.send('HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nearly')
    await heard.over
    expect(heard.switchedTo?.socket).toBe(socket)
    expect(heard.switchedTo?.early.toString()).toBe('early')
    expect([socket.destroyed, socket.eventNames()]).toEqual([false, ['end']])
    socket.destroy()
  })

  test('closes it when the switch is declined', async () => {
    const { heard, peer } = await ask({ upgrade: 'websocket' })
    await peer.request()
    peer.send(okWith('no'))
    expect((await heard.over).events).toEqual(['answered 200'])
    await peer.left
  })

  test('may be given up', async () => {
    const { exchange, heard, peer } = await ask()
    await peer.request()
    exchange.abort()
    await peer.left
    expect(heard.events).toEqual([])
  })

  test('holds up a server whose answer is taken slowly', async () => {
    const { socket, peer } = await connected()
    const { exchange, heard } = askOver(socket, {}, {}, { answered: () => exchange.pause() })
    await peer.request()
    const size = 30_000_000
    peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`)
    peer.send(Buffer.alloc(size))
    await until(() => heard.head)
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(heard.bodyBytes).toBeLessThan(1_000_000)
    exchange.resume()
    await heard.over
    expect(heard.bodyBytes).toBe(size)
  })
})

describe('it fails', () => {
  test('as unsent when the connection was gone before', async () => {
    const { socket } = await connected()
    socket.destroy()
    const { heard } = askOver(socket)
    expect(heard.events).toEqual([])
    expect((await heard.over).events).toEqual(['failed unreachable'])
  })

  test('as lost when the server ends the connection without an answer, now or before', async () => {
    const { heard, peer, socket } = await ask()
    await peer.request()
    peer.socket.end()
    expect((await heard.over).events).toEqual(['failed lost'])
    expect(socket.destroyed).toBe(true)
    const next = await connected()
    next.peer.socket.end()
    expect((await askOver(next.socket).heard.over).events).toEqual(['failed lost'])
  })

  test('as silent without an answer in time', async () => {
    const { heard, peer } = await ask({}, { answerTimeoutMs: 150 })
    expect((await heard.over).events).toEqual(['failed silent'])
    await peer.left
  })

  test('as stalled when the answer stops in the middle', async () => {
    const { heard, peer } = await ask({}, { idleTimeoutMs: 150 })
    await peer.request()
    peer.send('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe')
    expect((await heard.over).events).toEqual(['answered 200', 'data', 'failed stalled'])
    await peer.left
  })

  test('as garbled when something else than HTTP comes', async () => {
    const { heard, peer } = await ask()
    peer.send('SSH-2.0-x\r\n')
    expect((await heard.over).events).toEqual(['failed garbled'])
    await peer.left
  })
})
